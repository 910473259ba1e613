"""No counter-measure."""

from __future__ import annotations

from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.none.settings import NoCountermeasure
from unlearnable.datasets.split import Split


def build(settings: NoCountermeasure, train: Split, classes: int, seed: int) -> Countermeasure:
    """Nothing: the victim learns from the images as published."""
    return Countermeasure()
