"""The mean filter, one of Fu et al.'s (2022) low-pass filters of the training images."""

from __future__ import annotations

import cv2

from unlearnable.countermeasures._images import applied_once, opencv
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.mean.settings import Mean
from unlearnable.datasets.split import Split


def build(settings: Mean, train: Split, classes: int, seed: int) -> Countermeasure:
    """``cv2.blur``, as in their released code: the mean over a square window, rounded to whole grey levels.

    Beyond the border OpenCV mirrors the image about its outermost pixels without repeating them (its default).

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """
    change = opencv(lambda image: cv2.blur(image, (settings.size, settings.size)))
    return applied_once(settings, train, change)
