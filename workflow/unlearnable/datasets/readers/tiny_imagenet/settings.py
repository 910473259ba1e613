"""How a dataset of the kind tiny-imagenet is described."""

from __future__ import annotations

from typing import Literal

from unlearnable.datasets.settings import Archived


class TinyImagenetDataset(Archived):
    """Tiny ImageNet, from its zip or from the folder that it was unpacked to."""

    kind: Literal["tiny-imagenet"]
