"""Shared by counter-measures that change training and test images once."""

from __future__ import annotations

from collections.abc import Callable

from unlearnable.countermeasures._images import applied_once
from unlearnable.countermeasures._victims import VictimMeasure
from unlearnable.countermeasures.settings import CountermeasureSettings as Settings
from unlearnable.datasets.split import Array, Split


def applied_to_all(settings: Settings, train: Split, change: Callable[[Array], Array]) -> VictimMeasure:
    """As ``applied_once``, for the test images too."""
    images = applied_once(settings, train, change).images
    return VictimMeasure(images=images, test_images=images)
