"""How a dataset of the kind folder is described."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import RESIZE, Dataset, Resize


class FolderDataset(Dataset):
    """Images in one folder a class, below ``train`` and ``test`` or to be split."""

    kind: Literal["folder"]
    root: str = Field(description="folder; a relative path starts at the project's folder")
    resize: Resize = Field(None, description=RESIZE)
    test_share: float = Field(
        0.2, gt=0, lt=1, description="share that becomes the test set where root has no folders train and test"
    )
