"""Settings of datasets of the kind parquet."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import RESIZE, ImageFiles, Resize
from unlearnable.settings import Sha256


class ParquetDataset(ImageFiles):
    """``train*.parquet`` and ``test*.parquet`` with an encoded image column and a label column."""

    kind: Literal["parquet"]
    root: str = Field(description="folder; relative to the project's folder")
    image_column: str = Field("image", description="of encoded images")
    label_column: str = Field("label", description="of whole numbers, the indices of the classes")
    resize: Resize = Field(None, description=RESIZE)
    sha256: dict[str, Sha256] = Field({}, description="expected checksum by file name")
