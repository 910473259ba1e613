"""The bytes that jobs write, and the free space."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from unlearnable.bounds import Bound

LABEL = 8  # bytes


def of_images(rows: int, shape: tuple[int, ...]) -> int:
    """Bytes of ``rows`` stored images ``(C, H, W)`` and their labels."""
    return rows * (math.prod(shape) + LABEL)


def of_noise(rows: int, shape: tuple[int, ...], bound: Bound) -> int:
    """Bytes of the noise of ``rows`` images ``(C, H, W)``: one per value, or two if a value may exceed a byte."""
    return rows * math.prod(shape) * np.dtype(bound.dtype).itemsize


def of_published(rows: int, shape: tuple[int, ...], png: float) -> int:
    """Bytes of ``rows`` protected images: as NumPy shards, and in Parquet as PNG.

    Args:
        rows: number of images.
        shape: of an image, ``(C, H, W)``.
        png: size of the Parquet files as a share of that of the pixels.
    """
    return of_images(rows, shape) + round(rows * math.prod(shape) * png)


def png_share(published: Iterable[Path]) -> float | None:
    """The size of Parquet files on disk, as a share of that of the NumPy shards of the same images.

    Args:
        published: folders of protected datasets.

    Returns:
        None if there are none yet.
    """
    encoded = raw = 0
    for folder in published:
        encoded += sum(path.stat().st_size for path in folder.glob("parquet/*.parquet"))
        raw += sum(path.stat().st_size for path in folder.glob("shards/images-*.npy"))
    return encoded / raw if raw else None


def free(folder: Path) -> int:
    """Free bytes on the disk where ``folder`` is or will be."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
