"""Settings of datasets of the kind imagenet."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import ImageFiles


class ImagenetDataset(ImageFiles):
    """A folder of ILSVRC images, ``train`` and ``val`` with one folder per wnid, squashed to ``image_size``."""

    kind: Literal["imagenet"]
    root: str = Field(description="folder with train and val; relative to the project's folder")
