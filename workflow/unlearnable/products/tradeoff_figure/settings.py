"""Settings of the tradeoff-figure."""

from __future__ import annotations

from unlearnable.products.settings import FigureSettings, Width


class TradeoffFigure(FigureSettings):
    """Protection against cost."""

    product = "tradeoff-figure"
    stem = "tradeoff"
    title = "protection against cost"
    needs = ("sources", "noises", "victims")
    width: Width = 8.0
