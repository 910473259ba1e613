"""How a dataset of the kind mnist is described."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import Downloaded
from unlearnable.settings import Sha256


class MnistDataset(Downloaded):
    """The four IDX files of an MNIST-like set."""

    kind: Literal["mnist"]
    variant: Literal["MNIST", "FashionMNIST", "KMNIST"] = Field(description="which of them to download")
    root: str | None = Field(None, description="folder that may hold the IDX files; when absent they are downloaded")
    sha256: dict[str, Sha256] = Field({}, description="expected checksum of the unpacked files, by file name")
