"""Settings of datasets of the kind tiny-imagenet."""

from __future__ import annotations

from typing import Literal

from unlearnable.datasets.settings import Archived, ImageFiles


class TinyImagenetDataset(ImageFiles, Archived):
    """Tiny ImageNet, from its zip or from the unpacked folder."""

    kind: Literal["tiny-imagenet"]
