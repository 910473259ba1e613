"""Histogram equalisation of training and test images: each channel's levels in equal shares, as far as possible."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from unlearnable.countermeasures._images import each
from unlearnable.countermeasures._victims import VictimMeasure, applied_to_all
from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.datasets.split import Array, Split


def build(settings: CountermeasureSettings, train: Split, classes: int, seed: int) -> VictimMeasure:
    """Pillow's ``ImageOps.equalize``, once for every image; what learnt from equalised images is tested on such images.

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """
    return applied_to_all(settings, train, each(_equalised))


def _equalised(image: Array) -> Array:
    return np.asarray(ImageOps.equalize(Image.fromarray(image)))
