"""Another image's noise: what a noise still does if it is not an image's own.

A noise and its shuffled form would do the same if an index or a frame were off, so that no image carried its own.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from unlearnable.datasets.split import Array
from unlearnable.errors import UserError
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.shuffled.settings import Shuffled
from unlearnable.randomness import numpy_generator


def order(labels: Array, problem: Problem[Shuffled], seed: int) -> Array:
    """Whose noise each image carries, ``(N,)``: never its own, and each image's exactly once.

    With ``among: other-class``, a class with more than half of the images has more of them than there are noises for
    it: then those are used as evenly as possible.

    Args:
        labels: of all images, ``(N,)``.
        problem: the noise to compute.
        seed: of the draw.

    Raises:
        UserError: an image has no partner, because it is alone in its class or there is no other class.
    """
    among = problem.settings.among
    draws = numpy_generator(seed, "shuffled", among)
    return _within_classes(labels, draws) if among == "same-class" else _across_classes(labels, draws)


def noise(basis: object, batch: Batch[Shuffled]) -> Tensor:
    """The noise that the stage read for the batch: ``(B, C, H, W)``.

    Raises:
        ValueError: it read none.
    """
    if batch.start is None:
        raise ValueError("a shuffled noise needs the noise that it is made of")
    return batch.start


def _within_classes(labels: Array, draws: np.random.Generator) -> Array:
    """One random cycle through the images of each class."""
    partners = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = draws.permutation(np.flatnonzero(labels == label))
        if len(rows) == 1:
            raise UserError(
                f"method shuffled: image {rows[0]} is the only one of class {label}, so it cannot carry the noise of "
                "another image of its class; set among: other-class"
            )
        partners[rows] = np.roll(rows, 1)
    return partners


def _across_classes(labels: Array, draws: np.random.Generator) -> Array:
    """A random order in which images that met their own class then swap with random ones for which that is no loss."""
    partners = draws.permutation(len(labels))
    for label in np.unique(labels):
        own = labels == label
        met = draws.permutation(np.flatnonzero(own & own[partners]))
        willing = draws.permutation(np.flatnonzero(~own & ~own[partners]))[: len(met)]
        met, left = met[: len(willing)], met[len(willing) :]
        partners[met], partners[willing] = partners[willing], partners[met]
        if len(left):  # of a class with more than half of the images
            others = np.flatnonzero(~own)
            if not len(others):
                raise UserError(
                    f"method shuffled: all images are of class {label}, so none can carry the noise of another class; "
                    "set among: same-class"
                )
            partners[left] = np.resize(draws.permutation(others), len(left))
    return partners
