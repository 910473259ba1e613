"""Images and labels, in memory or not, and the checks that every source of images must pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from unlearnable.errors import UserError

Array = np.ndarray[Any, Any]


class Images(Protocol):
    """``(N, H, W, C)`` uint8; only the rows that are read need be in memory. An array also qualifies."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, H, W, C)``."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, rows: slice | Array, /) -> Array:
        """The images of a slice without a step, or of an array of row numbers in any order, in memory."""
        ...


@dataclass(frozen=True)
class Split:
    """One half of a dataset.

    Attributes:
        images: ``(N, H, W, C)`` uint8; may not fit into memory.
        labels: ``(N,)`` int64.
        classes: the class names, by label.
    """

    images: Images
    labels: Array
    classes: list[str]


@dataclass(frozen=True)
class Chosen:
    """Some of the rows of ``images``, in the order of ``rows``."""

    images: Images
    rows: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, H, W, C)``."""
        return len(self.rows), *self.images.shape[1:]

    def __len__(self) -> int:
        """N."""
        return len(self.rows)

    def __getitem__(self, rows: slice | Array) -> Array:
        """The images of these rows."""
        return self.images[self.rows[rows]]


def check_labels(labels: Array, classes: list[str], where: str) -> None:
    """Make sure that labels match the description of a dataset.

    Args:
        labels: ``(N,)`` whole numbers.
        classes: the class names, by label.
        where: name of the labels in messages.

    Raises:
        UserError: a label outside the classes, or a class without images.
    """
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if outside.size:
        row = int(outside[0])
        raise UserError(
            f"{where}, row {row}: label {int(labels[row])} is outside 0..{len(classes) - 1} ({len(classes)} classes)"
        )
    counts = np.bincount(labels, minlength=len(classes))
    if (counts == 0).any():
        empty = int(np.flatnonzero(counts == 0)[0])
        raise UserError(f"{where}: class {empty} ({classes[empty]!r}) has no images")


def check_shape(images: Array, shape: tuple[int, int, int], where: str) -> None:
    """Make sure that images have the size and channels ``(H, W, C)`` in the description of a dataset.

    Raises:
        UserError: they do not.
    """
    require_shape(images.shape[1:], shape, where)


def require_shape(found: tuple[int, ...], shape: tuple[int, int, int], where: str) -> None:
    """Make sure that images of the shape ``found`` have that in the description of a dataset.

    Raises:
        UserError: they do not.
    """
    if found != shape:
        raise UserError(f"{where}: images are (height, width, channels) {found}, not {shape}")


def stratified_order(labels: Array, generator: np.random.Generator) -> Array:
    """A random order of the rows in which every prefix is as class-balanced as the whole.

    So prefixes are nested and, if classes have equal sizes, a prefix holds the same number of each, to within one
    image.
    """
    position = np.empty(len(labels))
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        position[rows] = (np.arange(len(rows)) + generator.random()) / len(rows)
    return np.argsort(position, kind="stable")


def shard_rows(rows: int, batch_size: int, shard: int, shards: int) -> range:
    """The rows of one shard: whole batches, as evenly shared as they can be."""
    batches = math.ceil(rows / batch_size)
    first, last = batches * shard // shards, batches * (shard + 1) // shards
    return range(min(first * batch_size, rows), min(last * batch_size, rows))
