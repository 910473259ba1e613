"""Images that arrive piece by piece, so that a dataset of any size passes through a small memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unlearnable.datasets.split import Array, Split, check_labels, check_shape
from unlearnable.errors import UserError

CHUNK_BYTES = 2**21  # what a piece should hold at most, where its size can be chosen


@dataclass(frozen=True)
class Stream:
    """What a reader gives for one half of a dataset.

    Attributes:
        where: what to call it in messages, such as "root, train split".
        labels: ``(N,)`` int64, known before any image is decoded.
        chunks: gives, afresh at every call, ``(n, H, W, C)`` uint8 pieces in the order of the labels, N images in all.
    """

    where: str
    labels: Array
    chunks: Callable[[], Iterator[Array]]


def chunk_rows(shape: tuple[int, ...]) -> int:
    """How many images ``(H, W, C)`` a piece should hold; at least one."""
    return max(1, CHUNK_BYTES // math.prod(shape))


def of_split(split: Split, where: str) -> Stream:
    """The stream of the images of a split."""
    rows, step = len(split.labels), chunk_rows(split.images.shape[1:])
    return Stream(where, split.labels, lambda: (split.images[start : start + step] for start in range(0, rows, step)))


def checked(stream: Stream, shape: tuple[int, int, int], classes: list[str]) -> Stream:
    """The same stream, which stops with a ``UserError`` where it is not what its description says.

    Args:
        stream: of images and labels.
        shape: ``(H, W, C)`` that every image must have.
        classes: the class names, by label.

    Raises:
        UserError: a label outside the classes or a class without images; later, at the piece in question, a wrong
            size or number of channels, and at the end more or fewer images than labels.
    """
    check_labels(stream.labels, classes, stream.where)

    def chunks() -> Iterator[Array]:
        rows = 0
        for chunk in stream.chunks():
            check_shape(chunk, shape, stream.where)
            rows += len(chunk)
            if rows > len(stream.labels):
                raise UserError(f"{stream.where}: more images than the {len(stream.labels)} labels")
            yield chunk
        if rows < len(stream.labels):
            raise UserError(f"{stream.where}: {rows} images for {len(stream.labels)} labels")

    return Stream(stream.where, stream.labels, chunks)
