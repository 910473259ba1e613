"""Settings of the fraction-figure."""

from __future__ import annotations

from unlearnable.products.settings import FigureSettings


class FractionFigure(FigureSettings):
    """Accuracy against the protected share."""

    product = "fraction-figure"
    stem = "fraction"
    title = "accuracy against the protected share"
