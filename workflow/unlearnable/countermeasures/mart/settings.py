"""Settings of the counter-measure mart."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Mart(CountermeasureSettings):
    """MART (Wang et al. 2020): adversarial training that weighs misclassified images up."""

    needs_radius: ClassVar[bool] = True
    passes: ClassVar[int] = 2  # clean images and attacked ones
    kind: Literal["mart"]
    beta: float = Field(5.0, gt=0, description="weight of the divergence between clean and attacked predictions")
