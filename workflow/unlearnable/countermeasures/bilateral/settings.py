"""Settings of the counter-measure bilateral."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Bilateral(CountermeasureSettings):
    """Low-pass that preserves edges: a Gaussian window in space and in grey levels."""

    kind: Literal["bilateral"]
    diameter: int = Field(9, ge=3, le=31, description="of the round window, in pixels")
    sigma_color: float = Field(75.0, gt=0, description="in grey levels: how different averaged pixels may be")
    sigma_space: float = Field(75.0, gt=0, description="in pixels: how fast the weight falls with distance")
