"""Settings of the comparison-figure."""

from __future__ import annotations

from unlearnable.products.settings import FigureSettings, Width


class ComparisonFigure(FigureSettings):
    """Paired differences of the noises from their references, as a forest plot."""

    product = "comparison-figure"
    stem = "comparison"
    title = "differences from the references"
    needs = ("victims", "comparisons")
    width: Width = 7.0
