"""Settings of datasets of the kind mnist."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import Downloaded
from unlearnable.settings import Sha256


class MnistDataset(Downloaded):
    """MNIST or a dataset stored like it: four IDX files."""

    kind: Literal["mnist"]
    variant: Literal["MNIST", "FashionMNIST", "KMNIST"] = Field(description="which one to download")
    root: str | None = Field(None, description="folder with the IDX files; if it does not exist they are downloaded")
    sha256: dict[str, Sha256] = Field({}, description="expected checksum of the unpacked files, by file name")
