"""The median filter, one of Fu et al.'s (2022) low-pass filters of the training images."""

from __future__ import annotations

import cv2

from unlearnable.countermeasures._images import applied_once, opencv
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.median.settings import Median
from unlearnable.datasets.split import Split


def build(settings: Median, train: Split, classes: int, seed: int) -> Countermeasure:
    """``cv2.medianBlur``, as in their released code: the median over a square window, channel by channel.

    Beyond the border OpenCV repeats the outermost pixels (the only option for this filter).

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """
    change = opencv(lambda image: cv2.medianBlur(image, settings.size))
    return applied_once(settings, train, change)
