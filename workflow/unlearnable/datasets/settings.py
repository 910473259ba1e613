"""Settings shared by all kinds of datasets, and of the files of protected datasets."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, field_validator

from unlearnable import registry
from unlearnable.settings import Settings, Sha256


def nfc(name: str) -> str:
    """A name in Unicode's composed form: a letter and its accent are one character, as typed, not two, as on macOS."""
    return unicodedata.normalize("NFC", name)


def _address(url: str) -> str:
    try:
        host, _ = urlsplit(url).hostname, urlsplit(url).port
    except ValueError as error:
        raise ValueError(f"must be an http or https address ({error})") from None
    if not host:
        raise ValueError("must be an http or https address with a host")
    return url


Mirror = Annotated[
    str, Field(pattern=r"^https?://.", description="http or https address of a folder"), AfterValidator(_address)
]


IMAGE_PIXELS = 2**26  # more than cameras of 60 million pixels
PILLOW_LIMIT = 178_956_970  # pixels; Pillow opens nothing larger


class Dataset(Settings):
    """A dataset of any kind.

    Attributes:
        kind: name of its reader.
    """

    kind: str = Field(description="name of a reader, see below")
    image_size: int = Field(ge=8, le=1024, description="height and width in pixels")
    channels: Literal[1, 3] = Field(3, description="1 (grey) or 3 (RGB)")
    classes: list[Annotated[str, Field(min_length=1)]] = Field(min_length=2, description="class names, by label")
    validation: int = Field(
        0,
        ge=0,
        description="if > 0: hold out this many training images, class-balanced, and use them instead of "
        "the test set, so that hyper-parameters are never chosen on test images",
    )
    train_images: int | None = Field(
        None, ge=1, description="keep only this many training images, class-balanced; for trials"
    )
    test_images: int | None = Field(None, ge=1, description="keep only this many test images, class-balanced")
    rows_per_shard: int = Field(10_000, ge=1, description="images per NumPy shard")

    @field_validator("classes", mode="after")
    @classmethod
    def _distinct_classes(cls, classes: list[str]) -> list[str]:
        first: dict[str, int] = {}
        for label, name in enumerate(classes):
            earlier = first.setdefault(nfc(name), label)
            if earlier != label:
                raise ValueError(f"class names must differ, but {earlier} and {label} are both {name!r}")
        return classes


class ImageFiles(Dataset):
    """A dataset of encoded images, which may be of any size until they are resized."""

    image_pixels_limit: int = Field(
        IMAGE_PIXELS,
        ge=1,
        le=PILLOW_LIMIT,
        description="largest number of pixels of an image before it is resized; an image file may have four bytes for "
        "each; decoding takes eight",
    )


class Downloaded(Dataset):
    """A dataset whose files are downloaded if there is no local copy."""

    mirrors: list[Mirror] = Field(
        [], description="addresses of folders with the files, tried in this order; none: the dataset's own sites"
    )


class Archived(Downloaded):
    """A dataset in one archive."""

    archive: str | None = Field(
        None,
        description="a local copy to read instead of a download; relative to the project's folder",
    )
    sha256: Sha256 | None = Field(None, description="checksum of the archive; none: that of the official one")


Resize = Literal["squash"] | None
RESIZE = "squash: to image_size x image_size, whatever the shape; none: every image must already have that size"


AnyDataset = Annotated[SerializeAsAny[Dataset], BeforeValidator(registry.reader("readers"))]


class ProtectedFiles(Settings):
    """Row counts of the files of protected datasets."""

    rows_per_parquet: int = Field(10_000, ge=1, description="images per Parquet file")
    rows_per_shard: int = Field(10_000, ge=1, description="images per NumPy shard")
