"""Settings of the counter-measure coin."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Coin(CountermeasureSettings):
    """COIN (Li et al. 2025): every pixel of the training images taken from a random place nearby, at each step."""

    kind: Literal["coin"]
    reach: float = Field(
        2.0, gt=0, le=16, description="how far away that place may be along each axis, in pixels; uniformly drawn"
    )
