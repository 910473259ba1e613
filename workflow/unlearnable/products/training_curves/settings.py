"""Settings of the training-curves."""

from __future__ import annotations

from unlearnable.products.settings import FigureSettings, Width


class TrainingCurves(FigureSettings):
    """Training curves of the victims."""

    product = "training-curves"
    stem = "training-curves"
    title = "training curves of the victims"
    needs = ("histories",)
    width: Width = 9.0
