"""What counter-measures on the training images share: one image at a time, and what an image must stay."""

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
        settings: its own; for the name in messages, and the numbers of channels that it fits.
        train: the training images.
        change: maps images ``(n, H, W, C)`` uint8 to images of the same shape and type, each by itself.

    Raises:
        UserError: at once, when the images have another number of channels; and from ``images``, when ``change`` gives
            another shape or type.
    """
    found = train.images.shape[3]
    if found not in settings.channels:
        wanted = " or ".join(map(str, settings.channels))
        raise UserError(f"counter-measure {settings.kind}: the images have {found} channel(s), it fits {wanted}")

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
    """A change of images ``(n, H, W, C)`` from one of a single image: ``(H, W)`` when grey, else ``(H, W, C)``."""

    def images(chunk: Array) -> Array:
        grey = chunk.shape[3] == 1
        changed = np.stack([change(image) for image in (chunk[..., 0] if grey else chunk)])
        return changed[..., None] if grey else changed

    return images


def opencv(change: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """As ``each``, on one thread: these images are too small to share, and a job owns only the cores it was given."""
    by_image = each(change)

    def images(chunk: Array) -> Array:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            return by_image(chunk)
        finally:
            cv2.setNumThreads(threads)

    return images
