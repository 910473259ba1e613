"""Images that arrive in pieces, so that a dataset of any size fits through a small memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unlearnable.datasets.split import Array, Split, check_labels, check_shape
from unlearnable.errors import UserError

CHUNK_BYTES = 2**21  # largest size of a piece, if it can be chosen
IMAGES_LIMIT = 20_000_000  # of a split, whose labels are all in memory


@dataclass(frozen=True)
class Stream:
    """One half of a dataset, as a reader returns it.

    Attributes:
        where: its name in messages, such as "root, train split".
        labels: ``(N,)`` int64, known before any image is decoded.
        chunks: yields at every call, from the start, ``(n, H, W, C)`` uint8 pieces in the order of the labels, N images
            in all.
    """

    where: str
    labels: Array
    chunks: Callable[[], Iterator[Array]]


def chunk_rows(shape: tuple[int, ...]) -> int:
    """How many images ``(H, W, C)`` a piece should hold; at least one."""
    return max(1, CHUNK_BYTES // math.prod(shape))


def require_count(images: int, where: str) -> None:
    """Make sure that a split has no more images than a split may have, by what its files state.

    Raises:
        UserError: it has.
    """
    if images > IMAGES_LIMIT:
        raise UserError(f"{where}: states {images:,} images, more than the {IMAGES_LIMIT:,} that a split may have")


def of_split(split: Split, where: str) -> Stream:
    """The stream of the images of a split."""
    rows, step = len(split.labels), chunk_rows(split.images.shape[1:])
    return Stream(where, split.labels, lambda: (split.images[start : start + step] for start in range(0, rows, step)))


def checked(stream: Stream, shape: tuple[int, int, int], classes: list[str]) -> Stream:
    """The same stream, which raises a ``UserError`` as soon as it does not match its description.

    Args:
        stream: the images and labels.
        shape: required ``(H, W, C)`` of every image.
        classes: the class names, by label.

    Raises:
        UserError: a label is outside the classes, or a class has no images; while the stream is read, a piece has the
            wrong size or number of channels; at the end, there are more or fewer images than labels.
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
