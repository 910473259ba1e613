"""The bilateral filter, one of Fu et al.'s (2022) low-pass filters of the training images."""

from __future__ import annotations

import cv2

from unlearnable.countermeasures._images import applied_once, opencv
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.bilateral.settings import Bilateral
from unlearnable.datasets.split import Split


def build(settings: Bilateral, train: Split, classes: int, seed: int) -> Countermeasure:
    """``cv2.bilateralFilter``, as in their released code: a mean over a round window that favours near, similar pixels.

    A neighbour at distance r pixels whose channels differ by c grey levels in sum weighs
    exp(-r^2 / (2 sigma_space^2) - c^2 / (2 sigma_color^2)). Beyond the border OpenCV mirrors the image about its
    outermost pixels without repeating them.

    Raises:
        UserError: the images have neither 1 nor 3 channels.
    """
    change = opencv(
        lambda image: cv2.bilateralFilter(image, settings.diameter, settings.sigma_color, settings.sigma_space)
    )
    return applied_once(settings, train, change)
