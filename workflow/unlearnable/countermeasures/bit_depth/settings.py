"""Settings of the counter-measure bit-depth."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class BitDepth(CountermeasureSettings):
    """Image shortcut squeezing (Liu et al. 2023): training images with their highest bits only."""

    kind: Literal["bit-depth"]
    bits: int = Field(2, ge=1, le=7, description="how many of a channel's 8 bits to keep; the others become 0")
