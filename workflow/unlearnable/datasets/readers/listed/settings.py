"""Settings of datasets of the kind listed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import RESIZE, ImageFiles, Resize


class ListedDataset(ImageFiles):
    """Image files and their labels, listed in a CSV or Parquet file."""

    kind: Literal["listed"]
    root: str = Field(description="folder that files are named from; relative to the project's folder")
    index: str = Field(
        description="CSV or Parquet with the columns file and label (a class name) and, optionally, split: train, test "
        "or both; relative to the project's folder"
    )
    resize: Resize = Field(None, description=RESIZE)
