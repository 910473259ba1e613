"""No counter-measure: plain training."""

from __future__ import annotations

from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.datasets.split import Split


def build(settings: CountermeasureSettings, train: Split, classes: int, seed: int) -> Countermeasure:
    """Change nothing: the victim learns from the images as they are."""
    return Countermeasure()
