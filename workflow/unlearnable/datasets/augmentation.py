"""The settings of the transform T that victims draw for each image."""

from __future__ import annotations

from pydantic import Field, model_validator

from unlearnable.settings import Settings


class Augmentation(Settings):
    """The transform T, drawn again for each image that a victim sees."""

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
