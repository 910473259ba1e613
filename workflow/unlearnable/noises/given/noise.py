"""A noise that somebody else made: read from a file, checked against the images that it is for, and added."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.noises.given.formats import opened
from unlearnable.noises.given.levels import in_levels
from unlearnable.noises.given.place import checksum, located
from unlearnable.noises.given.settings import Given
from unlearnable.noises.method import Batch, Problem


def base(settings: Given, train: Split, folder: Path) -> Array:
    """The whole noise in grey levels, mapped from a file in ``folder`` that has no name and goes with the array.

    Args:
        settings: of the noise.
        train: all clean training images.
        folder: on a disk with room for the noise.

    Returns:
        ``(N, H, W, C)``, or ``(classes, H, W, C)`` if there is one noise for each class; int8 or int16.

    Raises:
        UserError: the file is not the one stated, cannot be read, or does not fit the images; see ``formats`` and
            ``levels``.
    """
    path = located(settings.path)
    found = checksum(path)
    if found != settings.sha256:
        raise UserError(
            f"{path}: its sha256 is {found}, but the study states {settings.sha256}; restore the file, or write the "
            "new one into methods, which makes the noise and all that follows from it again"
        )
    return in_levels(settings, opened(path, settings.array, train), train, folder)


def order(labels: Array, problem: Problem[Given], seed: int) -> Array:
    """Whose noise each image carries, ``(N,)``: its own, or that of its class."""
    return labels if problem.settings.per == "class" else np.arange(len(labels))


def noise(basis: object, batch: Batch[Given]) -> Tensor:
    """The noise that the stage took from the file for the batch: ``(B, C, H, W)``.

    Raises:
        ValueError: it took none.
    """
    if batch.start is None:
        raise ValueError("a given noise needs its file")
    return batch.start
