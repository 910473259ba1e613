"""What a dataset is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unlearnable.settings.base import Settings, Sha256


class Augmentation(Settings):
    """The transform T that victims draw afresh for each image."""

    flip: bool = Field(False, description="flip left-right with probability 1/2")
    crop_padding: int = Field(0, ge=0, le=64, description="zero-pad by this many pixels, then crop at random")


class _Dataset(Settings):
    image_size: int = Field(ge=8, le=1024, description="height and width in pixels")
    channels: Literal[1, 3] = 3
    classes: list[Annotated[str, Field(min_length=1)]] = Field(min_length=2, description="class names, by label")
    augmentation: Augmentation = Augmentation()
    validation: int = Field(
        0,
        ge=0,
        description="when > 0: hold out this many training images, class-balanced, and use them in place of "
        "the test set, so that hyper-parameters are never chosen on test images",
    )
    rows_per_shard: int = Field(10_000, ge=1, description="images per NumPy shard")

    @model_validator(mode="after")
    def _distinct_classes(self) -> _Dataset:
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            raise ValueError(f"class names must differ, but {', '.join(map(repr, twice))} appears more than once")
        return self


class ParquetDataset(_Dataset):
    """``train.parquet`` and ``test.parquet`` with an encoded image column and a label column."""

    kind: Literal["parquet"]
    root: str = Field(description="folder; a relative path starts at the project's folder")
    image_column: str = "image"
    label_column: str = "label"
    sha256: dict[str, Sha256] = Field({}, description="expected checksum by file name")


class MnistDataset(_Dataset):
    """The four IDX files of an MNIST-like set, from a folder or else torchvision's download."""

    kind: Literal["mnist"]
    variant: Literal["MNIST", "FashionMNIST", "KMNIST"] = Field(description="torchvision's class, for the download")
    root: str | None = Field(None, description="folder that may hold the IDX files; when absent they are downloaded")
    sha256: dict[str, Sha256] = Field({}, description="expected checksum by file name")


Dataset = Annotated[ParquetDataset | MnistDataset, Field(discriminator="kind")]
