"""Settings of the counter-measure cutout."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Cutout(CountermeasureSettings):
    """Cutout (DeVries and Taylor 2017): a mid-grey square in each training image, drawn again at each step."""

    kind: Literal["cutout"]
    size: int | None = Field(None, ge=1, description="side of the square, in pixels; none: half the image's side")
