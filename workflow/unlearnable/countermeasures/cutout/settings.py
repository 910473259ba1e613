"""Settings of the counter-measure cutout."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Cutout(CountermeasureSettings):
    """Cutout (DeVries and Taylor 2017): a mid-grey square in each training image, drawn again at each step."""

    kind: Literal["cutout"]
    size: int | None = Field(None, ge=1, description="side of the square, in pixels; none: half the image's side")

    def misfit(self, shape: tuple[int, int, int], classes: int) -> str | None:
        """A square that is larger than the images."""
        side = min(shape[:2])
        if self.size is None or self.size <= side:
            return None
        return f"size {self.size} exceeds the images' {side} pixels; lower it"
