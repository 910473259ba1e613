"""Training images to half their height and width and back, as a scraper who stores thumbnails would."""

from __future__ import annotations

import numpy as np
from PIL import Image

from unlearnable.countermeasures._images import applied_once, each
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.rescale.settings import Rescale
from unlearnable.datasets.split import Array, Split


def build(settings: Rescale, train: Split, classes: int, seed: int) -> Countermeasure:
    """Both ways by Pillow's antialiased bilinear interpolation; half of an odd size is rounded down.

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """
    return applied_once(settings, train, each(_halved_and_back))


def _halved_and_back(image: Array) -> Array:
    height, width = image.shape[:2]
    half = Image.fromarray(image).resize((width // 2, height // 2), Image.Resampling.BILINEAR)
    return np.asarray(half.resize((width, height), Image.Resampling.BILINEAR))
