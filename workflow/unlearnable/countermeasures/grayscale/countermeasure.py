"""Training without colour, from image shortcut squeezing (Liu et al., ICML 2023)."""

from __future__ import annotations

import numpy as np
from PIL import Image

from unlearnable.countermeasures._images import applied_once, each
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.grayscale.settings import Grayscale
from unlearnable.datasets.split import Array, Split


def build(settings: Grayscale, train: Split, classes: int, seed: int) -> Countermeasure:
    """The luma of ITU-R 601 in each of three channels: 0.299 R + 0.587 G + 0.114 B, as Pillow's ``convert("L")``.

    Raises:
        UserError: the images are already grey.
    """
    return applied_once(settings, train, each(_luma))


def _luma(image: Array) -> Array:
    return np.repeat(np.asarray(Image.fromarray(image).convert("L"))[..., None], 3, axis=2)
