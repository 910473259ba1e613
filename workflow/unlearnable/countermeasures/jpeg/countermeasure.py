"""JPEG compression of the training images, from image shortcut squeezing (Liu et al., ICML 2023)."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from unlearnable.countermeasures._images import applied_once, each
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.jpeg.settings import Jpeg
from unlearnable.datasets.split import Array, Split


def build(settings: Jpeg, train: Split, classes: int, seed: int) -> Countermeasure:
    """Each image encoded and decoded by Pillow, with its defaults as in the released code (colour at half resolution).

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """

    def compress(image: Array) -> Array:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=settings.quality)
        return np.asarray(Image.open(buffer))

    return applied_once(settings, train, each(compress))
