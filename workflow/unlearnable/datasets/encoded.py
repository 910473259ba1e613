"""Encoded images: opened safely, read strictly, written as PNG."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from unlearnable.datasets.split import Array
from unlearnable.errors import UserError

Mapping = Callable[..., Iterator[Any]]  # as the built-in ``map``
MODES = {1: "L", 3: "RGB"}  # Pillow's name of the mode, by the number of channels
WORTH_A_THREAD = 2**13  # bytes of an image; smaller ones take longer to hand to a thread than to encode


# Raised by Pillow on damaged files, found by trial.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error)


@contextmanager
def opened(data: bytes, where: str, formats: tuple[str, ...] | None = None) -> Iterator[Image.Image]:
    """Open one encoded image.

    Args:
        data: its bytes.
        where: its name in messages.
        formats: allowed formats, by Pillow's names; None for any.

    Raises:
        UserError: the bytes are not a complete image in one of these formats, which shows when they are loaded; or it
            has more pixels than Pillow opens.
    """
    kind = "an image" if formats is None else f"an image of {', '.join(formats)}"
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise UserError(f"{where}: {error}") from error
    except DAMAGE as error:
        raise UserError(f"{where}: truncated, or not {kind} ({error})") from error


def decode(data: bytes, where: str, size: tuple[int, int] | None, mode: str) -> Array:
    """Decode one image to ``(H, W, C)`` uint8.

    Args:
        data: PNG, JPEG or another format that Pillow supports.
        where: name of the image in messages.
        size: required ``(width, height)``; None for any.
        mode: required Pillow mode, one of ``MODES``.

    Raises:
        UserError: the bytes are not a complete image, or it has another size or mode.
    """
    with opened(data, where) as image:
        if image.mode != mode:
            raise UserError(f"{where}: image mode is {image.mode}, not {mode}")
        if size is not None and image.size != size:
            raise UserError(f"{where}: image is {image.size[0]}x{image.size[1]}, not {size[0]}x{size[1]}")
        image.load()
        pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def encode(image: Array) -> bytes:
    """One image ``(H, W, C)`` uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "png")
    return buffer.getvalue()


@contextmanager
def mapping(threads: int, shape: tuple[int, ...]) -> Iterator[Mapping]:
    """A ``map`` that encodes or decodes images ``(H, W, C)`` on ``threads`` threads, if they are large enough to gain.

    It consumes all of its arguments at once, so pass it one piece of images at a time.
    """
    if threads == 1 or math.prod(shape) < WORTH_A_THREAD:
        yield map
    else:
        with ThreadPoolExecutor(threads, "images") as pool:
            yield pool.map
