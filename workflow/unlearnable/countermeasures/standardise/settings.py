"""Settings of the counter-measure standardise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Standardise(CountermeasureSettings):
    """Training and test images with the same mean and standard deviation of every channel of every image."""

    kind: Literal["standardise"]
    sigma: float = Field(
        42.5, gt=0, le=127.5, description="that standard deviation, in grey levels; the mean is 127.5; 42.5 is 255 / 6"
    )
