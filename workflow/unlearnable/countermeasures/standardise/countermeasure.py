"""Per-image standardisation, one of the adaptive trainers of DUNE's authors (ICML 2026)."""

from __future__ import annotations

import numpy as np

from unlearnable.countermeasures._victims import VictimMeasure, applied_to_all
from unlearnable.countermeasures.standardise.settings import Standardise
from unlearnable.datasets.split import Array, Split

MEAN = 127.5  # which every network sees as 0


def build(settings: Standardise, train: Split, classes: int, seed: int) -> VictimMeasure:
    """(x - mean) / deviation of each channel of each image, as grey levels: times sigma, plus 127.5.

    It takes any offset and any gain of a channel away. Levels are rounded and clipped to [0, 255], which with the
    default sigma are three standard deviations on either side; a channel of one level becomes grey. As it belongs to
    what the network sees, test images are standardised too, and a victim's radius is one of standardised levels.

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """

    def change(images: Array) -> Array:
        return standardised(images, settings.sigma)

    return applied_to_all(settings, train, change)


def standardised(images: Array, sigma: float) -> Array:
    """Images ``(n, H, W, C)`` uint8 with mean 127.5 and standard deviation ``sigma`` of each channel, as grey levels.

    Sums are of whole numbers, so that an image's result does not depend on the others.
    """
    levels = images.astype(np.int64)
    count = images.shape[1] * images.shape[2]
    total, squares = (each.sum((1, 2), keepdims=True) for each in (levels, levels * levels))
    spread = np.sqrt(count * squares - total * total)  # count times the standard deviation
    scaled = np.where(spread > 0, sigma * (count * levels - total) / np.where(spread > 0, spread, 1), 0.0)
    return np.rint(MEAN + scaled).clip(0, 255).astype(np.uint8)
