"""What a dataset is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unlearnable.settings.base import Settings, Sha256


class Augmentation(Settings):
    """The transform T that victims draw afresh for each image."""

    flip: bool = Field(False, description="flip left-right with probability 1/2")
    crop_padding: int = Field(0, ge=0, le=64, description="zero-pad by this many pixels, then crop at random")
    resized_crop: int | None = Field(
        None,
        ge=8,
        le=1024,
        description="resize a random crop, of 8 to 100 % of the area, to this height and width in pixels; test images "
        "are cropped to that size at their centre",
    )

    @model_validator(mode="after")
    def _one_crop(self) -> Augmentation:
        if self.crop_padding and self.resized_crop is not None:
            raise ValueError("crop_padding and resized_crop are two ways to crop; remove one of the two")
        return self


Mirror = Annotated[str, Field(pattern=r"^https?://.", description="address of a folder, of http or https")]


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
    train_images: int | None = Field(
        None, ge=1, description="keep only so many training images, class-balanced; for trials"
    )
    test_images: int | None = Field(None, ge=1, description="keep only so many test images, class-balanced")
    rows_per_shard: int = Field(10_000, ge=1, description="images per NumPy shard")

    @model_validator(mode="after")
    def _distinct_classes(self) -> _Dataset:
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            raise ValueError(f"class names must differ, but {', '.join(map(repr, twice))} appears more than once")
        return self

    @model_validator(mode="after")
    def _crop_inside(self) -> _Dataset:
        crop = self.augmentation.resized_crop
        if crop is not None and crop > self.image_size:
            raise ValueError(f"augmentation.resized_crop: {crop} is larger than image_size: {self.image_size}")
        return self


class _Downloaded(_Dataset):
    mirrors: list[Mirror] = Field(
        [], description="addresses of folders that hold the files, tried in this order; none: the dataset's own sites"
    )


class _Archived(_Downloaded):
    archive: str | None = Field(
        None,
        description="a local copy to read in place of a download; a relative path starts at the project's folder",
    )
    sha256: Sha256 | None = Field(None, description="checksum of the archive; none: that of the official one")


Resize = Literal["squash"] | None
RESIZE = "squash: to image_size x image_size, whatever the shape; none: every image must have the size already"


class ParquetDataset(_Dataset):
    """``train*.parquet`` and ``test*.parquet`` with an encoded image column and a label column."""

    kind: Literal["parquet"]
    root: str = Field(description="folder; a relative path starts at the project's folder")
    image_column: str = "image"
    label_column: str = "label"
    resize: Resize = Field(None, description=RESIZE)
    sha256: dict[str, Sha256] = Field({}, description="expected checksum by file name")


class FolderDataset(_Dataset):
    """Images in one folder a class, below ``train`` and ``test`` or to be split."""

    kind: Literal["folder"]
    root: str = Field(description="folder; a relative path starts at the project's folder")
    resize: Resize = Field(None, description=RESIZE)
    test_share: float = Field(
        0.2, gt=0, lt=1, description="share that becomes the test set where root has no folders train and test"
    )


class ImagenetDataset(_Dataset):
    """A folder of ILSVRC images, ``train`` and ``val`` with one folder a wnid, squashed to ``image_size``."""

    kind: Literal["imagenet"]
    root: str = Field(description="folder that holds train and val; a relative path starts at the project's folder")


class TinyImagenetDataset(_Archived):
    """Tiny ImageNet, from its zip or from the folder that it was unpacked to."""

    kind: Literal["tiny-imagenet"]


class CifarDataset(_Archived):
    """CIFAR-10 or CIFAR-100, from the official Python archive."""

    kind: Literal["cifar"]
    variant: Literal["cifar10", "cifar100"]


class SvhnDataset(_Downloaded):
    """SVHN's cropped digits, from the two official .mat files."""

    kind: Literal["svhn"]
    root: str | None = Field(None, description="folder that may hold the .mat files; when absent they are downloaded")
    sha256: dict[str, Sha256] = Field({}, description="checksum by file name; none: those of the official files")


class MnistDataset(_Downloaded):
    """The four IDX files of an MNIST-like set."""

    kind: Literal["mnist"]
    variant: Literal["MNIST", "FashionMNIST", "KMNIST"] = Field(description="which of them to download")
    root: str | None = Field(None, description="folder that may hold the IDX files; when absent they are downloaded")
    sha256: dict[str, Sha256] = Field({}, description="expected checksum of the unpacked files, by file name")


Dataset = Annotated[
    ParquetDataset | FolderDataset | ImagenetDataset | TinyImagenetDataset | CifarDataset | SvhnDataset | MnistDataset,
    Field(discriminator="kind"),
]
