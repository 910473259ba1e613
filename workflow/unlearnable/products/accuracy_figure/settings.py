"""Settings of the accuracy-figure."""

from __future__ import annotations

from unlearnable.products.settings import FigureSettings


class AccuracyFigure(FigureSettings):
    """Accuracy against the victim's radius."""

    product = "accuracy-figure"
    stem = "accuracy"
    title = "accuracy against radius"
