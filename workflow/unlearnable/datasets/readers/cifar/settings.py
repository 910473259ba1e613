"""Settings of datasets of the kind cifar."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import Archived


class CifarDataset(Archived):
    """CIFAR-10 or CIFAR-100, from the official Python archive."""

    kind: Literal["cifar"]
    variant: Literal["cifar10", "cifar100"] = Field(description="which of the two")
