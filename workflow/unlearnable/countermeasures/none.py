"""No counter-measure."""

from __future__ import annotations

from unlearnable.countermeasures._base import Countermeasure
from unlearnable.data.images import Split
from unlearnable.settings.countermeasures import NoCountermeasure


def build(settings: NoCountermeasure, train: Split, classes: int, seed: int) -> Countermeasure:
    """Nothing: the victim learns from the images as published."""
    return Countermeasure()
