"""Settings of the counter-measure cutmix."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Cutmix(CountermeasureSettings):
    """CutMix (Yun et al. 2019): a box of each training image replaced by that of another, labels mixed by area."""

    kind: Literal["cutmix"]
    alpha: float = Field(1.0, gt=0, description="the area outside the box is drawn from Beta(alpha, alpha)")
