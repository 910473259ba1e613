"""Settings of the counter-measure trades."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Trades(CountermeasureSettings):
    """TRADES (Zhang et al. 2019): adversarial training that trades accuracy for stable predictions."""

    needs_radius: ClassVar[bool] = True
    passes: ClassVar[int] = 2  # clean images and attacked ones
    kind: Literal["trades"]
    beta: float = Field(6.0, gt=0, description="weight of the divergence between clean and attacked predictions")
