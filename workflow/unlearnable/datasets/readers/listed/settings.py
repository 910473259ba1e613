"""Settings of datasets of the kind listed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import RESIZE, ImageFiles, Resize
from unlearnable.settings import Sha256


class ListedDataset(ImageFiles):
    """Image files and their labels, listed in a CSV or Parquet file."""

    kind: Literal["listed"]
    root: str = Field(description="folder that files are named from; relative to the project's folder")
    index: str = Field(
        description="CSV or Parquet with the columns file and label (a class name) and, optionally, split: train, test "
        "or both; relative to the project's folder"
    )
    sha256: Sha256 | None = Field(None, description="expected checksum of the index")
    resize: Resize = Field(None, description=RESIZE)
    test_share: float = Field(
        0.2, gt=0, lt=1, description="share that becomes the test set if the index has no column split"
    )
