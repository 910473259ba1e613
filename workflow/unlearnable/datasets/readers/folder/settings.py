"""Settings of datasets of the kind folder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import RESIZE, ImageFiles, Resize


class FolderDataset(ImageFiles):
    """Images in one folder per class, below ``train`` and ``test`` or to be split."""

    kind: Literal["folder"]
    root: str = Field(description="folder; relative to the project's folder")
    resize: Resize = Field(None, description=RESIZE)
    test_share: float = Field(
        0.2, gt=0, lt=1, description="share that becomes the test set if root has no folders train and test"
    )
