"""How a dataset of the kind imagenet is described."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import Dataset


class ImagenetDataset(Dataset):
    """A folder of ILSVRC images, ``train`` and ``val`` with one folder a wnid, squashed to ``image_size``."""

    kind: Literal["imagenet"]
    root: str = Field(description="folder that holds train and val; a relative path starts at the project's folder")
