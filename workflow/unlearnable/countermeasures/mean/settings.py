"""Settings of the counter-measure mean."""

from __future__ import annotations

from typing import Literal

from unlearnable.countermeasures.settings import CountermeasureSettings, Window


class Mean(CountermeasureSettings):
    """Low-pass: each pixel of the training images becomes the mean of its window."""

    kind: Literal["mean"]
    size: Window = 3
