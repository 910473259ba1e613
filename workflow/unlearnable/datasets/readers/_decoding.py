"""From encoded images of any origin to pixels.

For all kinds of datasets with image files:

- PNG, JPEG, GIF, BMP and WebP are read, whatever a file's name. Of a JPEG with several pictures (MPO, written by
  cameras) the first is used.
- A camera's orientation (EXIF) is applied, so that an image is oriented as viewers show it.
- Palettes, CMYK and YCbCr are converted to RGB by Pillow's formulas; colour profiles are ignored.
- Transparent parts become white.
- If ``channels`` is 3, grey images get three equal channels. If it is 1, a colour image whose channels are equal
  everywhere becomes grey; any other is refused, because its colour would be lost.
- With ``resize: squash`` an image of any shape becomes ``image_size`` x ``image_size``, by antialiased bilinear
  interpolation. Without it every image must have that size.
- Empty, truncated and otherwise damaged files, animations (more than one frame) and PNGs with 16 bits a channel are
  refused. None is skipped silently: the message states how many images cannot be used and names up to ten.
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
NAMED = 10  # images that cannot be used named in the message
WORKERS = min(8, os.cpu_count() or 1)  # Pillow releases Python's lock while decoding
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_BIT_DEPTH = 24  # offset of the byte
GREY = ("1", "L", "LA")


Encoded = tuple[str, Callable[[], bytes]]  # an image's name in messages, and a function that returns its bytes


@dataclass(frozen=True)
class Fit:
    """The required shape of images, ``(size, size, channels)``, and whether they are resized to it."""

    size: int
    channels: int
    resize: bool


def decoded(images: Iterable[Encoded], total: int, where: str, fit: Fit) -> Iterator[Array]:
    """Decode images, in pieces.

    Args:
        images: in the order of their labels.
        total: number of images, for the message.
        where: name of all images in the message.
        fit: the required shape.

    Yields:
        ``(n, H, W, C)`` uint8 pieces.

    Raises:
        UserError: some images cannot be used; raised after all have been tried.
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
    """The pixels of an image, or why it cannot be used."""
    where, content = image
    try:
        return pixels(content(), where, fit)
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"{where}: not readable ({error.strerror or error})"


def pixels(data: bytes, where: str, fit: Fit) -> Array:
    """Decode one image to ``(size, size, channels)`` uint8, by the rules in this module's docstring.

    Args:
        data: the encoded image.
        where: its name in messages.
        fit: the required shape.

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
        raise UserError(f"{where}: a colour image, but channels is 1")
    return red
