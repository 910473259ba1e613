"""Shared by counter-measures that change the training images once."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.settings import CountermeasureSettings as Settings
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError


def applied_once(settings: Settings, train: Split, change: Callable[[Array], Array]) -> Countermeasure:
    """A counter-measure that changes every training image once.

    Args:
        settings: of the counter-measure; they give its name in messages and the numbers of channels it supports.
        train: the training images.
        change: maps images ``(n, H, W, C)`` uint8 to images of the same shape and type, each independently.

    Raises:
        UserError: at once, if the number of channels is not supported; from ``images``, if ``change`` returns another
            shape or type.
    """
    found = train.images.shape[3]
    if found not in settings.channels:
        wanted = " or ".join(map(str, settings.channels))
        raise UserError(f"counter-measure {settings.kind}: the images have {found} channel(s), but it needs {wanted}")

    def images(chunk: Array) -> Array:
        changed = change(chunk)
        if changed.shape != chunk.shape or changed.dtype != np.uint8:
            raise UserError(
                f"counter-measure {settings.kind}: makes {changed.shape} {changed.dtype} of {chunk.shape} uint8, "
                "but must keep both shape and type"
            )
        return changed

    return Countermeasure(images=images)


def each(change: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Extend ``change`` from one image, ``(H, W)`` if grey, otherwise ``(H, W, C)``, to images ``(n, H, W, C)``."""

    def images(chunk: Array) -> Array:
        grey = chunk.shape[3] == 1
        changed = np.stack([change(image) for image in (chunk[..., 0] if grey else chunk)])
        return changed[..., None] if grey else changed

    return images


def opencv(change: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """As ``each``, on one thread: the images are too small to split, and a job may use only its own cores."""
    by_image = each(change)

    def images(chunk: Array) -> Array:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            return by_image(chunk)
        finally:
            cv2.setNumThreads(threads)

    return images
