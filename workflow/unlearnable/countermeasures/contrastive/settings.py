"""Settings of the counter-measure contrastive."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Contrastive(CountermeasureSettings):
    """The augmentation of contrastive learning (Chen et al. 2020): resized crops, colour jitter, grayscale."""

    kind: Literal["contrastive"]
    strength: float = Field(
        1.0, gt=0, le=1, description="s: crops of 1 - 0.9 s of the area or more, jitter by up to 0.4 s, hue by 0.1 s"
    )
