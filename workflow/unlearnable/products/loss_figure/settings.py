"""Settings of the loss-figure."""

from __future__ import annotations

from unlearnable.products.settings import FigureSettings, Width


class LossFigure(FigureSettings):
    """Training loss of the victims."""

    product = "loss-figure"
    stem = "loss"
    title = "training loss of the victims"
    needs = ("histories",)
    width: Width = 9.0
