"""Settings of datasets of the kind svhn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import Downloaded
from unlearnable.settings import Sha256


class SvhnDataset(Downloaded):
    """SVHN's cropped digits, from the two official .mat files."""

    kind: Literal["svhn"]
    root: str | None = Field(None, description="folder with the .mat files; if it does not exist they are downloaded")
    sha256: dict[str, Sha256] = Field({}, description="checksum by file name; none: those of the official files")
