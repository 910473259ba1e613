"""Encoded images of any origin to pixels.

The same for all kinds of datasets that hold image files:

- PNG, JPEG, GIF, BMP and WebP are read, whatever a file is called. Of a JPEG that holds several pictures (MPO, which
  cameras write) the first one is taken.
- A camera's orientation (EXIF) is applied, so that an image stands as viewers show it.
- Palettes, CMYK and YCbCr are converted to RGB by Pillow's formulas; colour profiles are ignored.
- Transparent parts become white.
- Where ``channels`` is 3, grey images get three equal channels. Where it is 1, a coloured image whose channels are
  equal everywhere becomes grey; any other is refused, because colour would be lost.
- With ``resize: squash`` an image becomes ``image_size`` x ``image_size`` whatever its shape was, by bilinear
  interpolation over all pixels that it covers (antialiased). Without it every image must have that size.
- Refused are empty, truncated and otherwise damaged files, animations (more than one frame) and PNG of 16 bits a
  channel. None is left out silently: the message names up to ten images that cannot be used, and their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image, ImageOps

from unlearnable.datasets.encoded import opened
from unlearnable.datasets.split import Array
from unlearnable.datasets.stream import chunk_rows
from unlearnable.errors import UserError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
NAMED = 10  # of the images that cannot be used, in the message
WORKERS = min(8, os.cpu_count() or 1)  # Pillow decodes without holding Python's lock
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_BIT_DEPTH = 24  # place of the byte
GREY = ("1", "L", "LA")


Encoded = tuple[str, Callable[[], bytes]]  # what to call an image in a message, and what gives its bytes


@dataclass(frozen=True)
class Fit:
    """What an image must be or become: ``(size, size, channels)``; resized to it or not."""

    size: int
    channels: int
    resize: bool


def decoded(images: Iterable[Encoded], total: int, where: str, fit: Fit) -> Iterator[Array]:
    """Decode images, a few at a time.

    Args:
        images: in the order of their labels.
        total: how many they are, for the message.
        where: what to call them all in the message.
        fit: what they must be or become.

    Yields:
        ``(n, H, W, C)`` uint8 pieces.

    Raises:
        UserError: there are images that cannot be used; after all have been looked at, so that it names them all.
    """
    images = iter(images)
    rows = chunk_rows((fit.size, fit.size, fit.channels))
    unusable: list[str] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        while chunk := list(islice(images, rows)):
            found = list(pool.map(lambda image: _attempt(image, fit), chunk))
            unusable.extend(pixels for pixels in found if isinstance(pixels, str))
            if not unusable:
                yield np.stack([pixels for pixels in found if not isinstance(pixels, str)])
    if len(unusable) == 1:
        raise UserError(unusable[0])
    if unusable:
        more = f"; and {len(unusable) - NAMED} more" if len(unusable) > NAMED else ""
        raise UserError(
            f"{where}: {len(unusable)} of {total} images cannot be used: {'; '.join(unusable[:NAMED])}{more}"
        )


def _attempt(image: Encoded, fit: Fit) -> Array | str:
    """The pixels of an image, or why there are none."""
    where, content = image
    try:
        return pixels(content(), where, fit)
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"{where}: not readable ({error.strerror or error})"


def pixels(data: bytes, where: str, fit: Fit) -> Array:
    """Decode one image to ``(size, size, channels)`` uint8, as this module's description says.

    Args:
        data: the encoded image.
        where: what to call it in a message.
        fit: what it must be or become.

    Raises:
        UserError: it cannot be used.
    """
    if not data:
        raise UserError(f"{where}: empty (0 bytes)")
    if data.startswith(PNG_START) and data[PNG_BIT_DEPTH : PNG_BIT_DEPTH + 1] == b"\x10":
        raise UserError(f"{where}: a PNG of 16 bits a channel; 8 bits are needed")
    with opened(data, where, FORMATS) as image:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if frames > 1:
            raise UserError(f"{where}: an animation of {frames} frames; one is needed")
        image.load()
        upright = ImageOps.exif_transpose(image)
        plain = _converted(upright, where, fit.channels)
    if fit.resize:
        plain = plain.resize((fit.size, fit.size), Image.Resampling.BILINEAR)
    elif plain.size != (fit.size, fit.size):
        raise UserError(f"{where}: image is {plain.size[0]}x{plain.size[1]}, not {fit.size}x{fit.size}")
    return np.asarray(plain).reshape(fit.size, fit.size, fit.channels)


def _converted(image: Image.Image, where: str, channels: int) -> Image.Image:
    """The image in mode L or RGB, on white."""
    grey = image.mode in GREY
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    if grey:
        image = image.convert("L")
        return image if channels == 1 else image.convert("RGB")
    image = image.convert("RGB")
    if channels == 3:
        return image
    red, green, blue = image.split()
    if not red.tobytes() == green.tobytes() == blue.tobytes():
        raise UserError(f"{where}: a coloured image, where channels is 1")
    return red
