"""The Gaussian filter, one of Fu et al.'s (2022) low-pass filters of the training images."""

from __future__ import annotations

import cv2

from unlearnable.countermeasures._images import applied_once, opencv
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.gaussian.settings import Gaussian
from unlearnable.datasets.split import Split


def build(settings: Gaussian, train: Split, classes: int, seed: int) -> Countermeasure:
    """``cv2.GaussianBlur`` with sigma 0, as in their released code: OpenCV then derives the width from the window's
    size.

    A window of 3 gives the kernel 1-2-1 over 4 along each axis. The result is rounded to whole grey levels,
    halves up. Beyond the border OpenCV mirrors the image about its outermost pixels without repeating them.

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """
    change = opencv(lambda image: cv2.GaussianBlur(image, (settings.size, settings.size), 0))
    return applied_once(settings, train, change)
