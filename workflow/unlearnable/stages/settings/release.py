"""Settings of the release stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import AnyDataset
from unlearnable.settings import Settings, Slug
from unlearnable.stages.settings.noise import AnyBound


class ReleaseFiles(Settings):
    """The files of a release."""

    format: Literal["png", "same"] = Field(
        "png",
        description="png: every image as PNG, which keeps the noise exactly; same: JPEG stays JPEG, of quality 95 and "
        "4:4:4, where no bound is promised",
    )
    metadata: Literal["strip", "keep"] = Field("strip", description="whether a camera's metadata is removed or kept")
    licence: str | None = Field(None, description="of the images, for the data card")
    date: str | None = Field(None, description="of the release, for the data card")


class ReleaseSettings(ReleaseFiles):
    """One release.

    Attributes:
        name: of the release.
        bound: of the change of every image.
        dataset: the owner's images.
    """

    name: Slug
    bound: AnyBound
    dataset: AnyDataset
