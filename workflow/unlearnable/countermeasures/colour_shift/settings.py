"""Settings of the counter-measure colour-shift."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class ColourShift(CountermeasureSettings):
    """A random offset of each channel and Gaussian noise on every training image, drawn again at each step."""

    kind: Literal["colour-shift"]
    shift: float = Field(8.0, ge=0, le=255, description="largest offset of a channel, in grey levels; uniformly drawn")
    sigma: float = Field(
        8.0,
        ge=0,
        le=255,
        description="largest standard deviation of the noise, in grey levels; drawn uniformly for each image",
    )
