"""Settings of the counter-measure mixup."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Mixup(CountermeasureSettings):
    """Mixup (Zhang et al. 2018): training images and labels averaged in pairs."""

    kind: Literal["mixup"]
    alpha: float = Field(1.0, gt=0, description="the share of the first image is drawn from Beta(alpha, alpha)")
