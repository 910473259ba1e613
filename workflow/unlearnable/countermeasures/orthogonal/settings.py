"""Settings of the counter-measure orthogonal."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Orthogonal(CountermeasureSettings):
    """Orthogonal projection (Sandoval-Segura et al. 2023): training images without what a linear classifier learnt."""

    kind: Literal["orthogonal"]
    epochs: int = Field(20, ge=1, description="of the linear classifier's training")
    batch_size: int = Field(1024, ge=1, description="of the linear classifier's training")
    lr: float = Field(0.1, gt=0, description="of the linear classifier's training; divided by 10 after 1/2 and 3/4")

    def misfit(self, shape: tuple[int, int, int], classes: int) -> str | None:
        """As many classes as values in an image: nothing would be left."""
        values = math.prod(shape)
        if classes < values:
            return None
        return f"{classes} classes leave nothing of images of {values} values; use another counter-measure"
