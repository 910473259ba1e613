"""Settings of the counter-measure median."""

from __future__ import annotations

from typing import Literal

from unlearnable.countermeasures.settings import CountermeasureSettings, Window


class Median(CountermeasureSettings):
    """Low-pass: each pixel of the training images becomes the median of its window."""

    kind: Literal["median"]
    size: Window = 3
