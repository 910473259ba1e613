"""Settings of the counter-measure gaussian."""

from __future__ import annotations

from typing import Literal

from unlearnable.countermeasures.settings import CountermeasureSettings, Window


class Gaussian(CountermeasureSettings):
    """Low-pass: a Gaussian window whose width OpenCV derives from its size; size 3 is the kernel 1-2-1."""

    kind: Literal["gaussian"]
    size: Window = 3
