"""Settings of the counter-measure jpeg."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Jpeg(CountermeasureSettings):
    """Image shortcut squeezing (Liu et al. 2023): training images through JPEG and back."""

    kind: Literal["jpeg"]
    quality: int = Field(10, ge=1, le=100, description="of the JPEG encoder")
