"""Settings of the counter-measure grayscale."""

from __future__ import annotations

from typing import ClassVar, Literal

from unlearnable.countermeasures.settings import CountermeasureSettings


class Grayscale(CountermeasureSettings):
    """Image shortcut squeezing (Liu et al. 2023): training images without colour, as three equal channels."""

    channels: ClassVar[tuple[int, ...]] = (3,)
    kind: Literal["grayscale"]
