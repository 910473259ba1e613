"""Bit-depth reduction of the training images, from image shortcut squeezing (Liu et al., ICML 2023)."""

from __future__ import annotations

import numpy as np

from unlearnable.countermeasures._images import applied_once
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.bit_depth.settings import BitDepth
from unlearnable.datasets.split import Split


def build(settings: BitDepth, train: Split, classes: int, seed: int) -> Countermeasure:
    """The highest ``bits`` bits of every value; the others become 0, so 2 bits leave the levels 0, 64, 128 and 192.

    This is the posterisation of Pillow and torchvision, as in the released code; it rounds down and so darkens.

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """
    mask = np.uint8(256 - 2 ** (8 - settings.bits))
    return applied_once(settings, train, lambda images: images & mask)
