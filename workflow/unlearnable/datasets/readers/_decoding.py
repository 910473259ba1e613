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
- The size in an image's header is compared before any pixel is decoded: with that size, or, if images are resized,
  with ``image_pixels_limit``. A file of more than four bytes for each of these pixels is not read.
- Empty, truncated and otherwise damaged files, animations (more than one frame) and PNGs with 16 bits a channel are
  refused. None is skipped silently: the message states how many images cannot be used and names up to ten.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Condition

import numpy as np
from PIL import ExifTags, Image, ImageOps

from unlearnable import files
from unlearnable.datasets.encoded import opened
from unlearnable.datasets.settings import IMAGE_PIXELS, ImageFiles
from unlearnable.datasets.split import Array
from unlearnable.datasets.stream import chunk_rows
from unlearnable.errors import UserError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
NAMED = 10  # images that cannot be used named in the message
WORKERS = min(8, os.cpu_count() or 1)  # Pillow releases Python's lock while decoding
AHEAD = 2 * WORKERS  # images whose bytes are held for the workers
ROOM = 2**29  # bytes that images may take while they are decoded
DECODED_PIXEL = 8  # bytes, of which a converted copy takes half
FILE_PIXEL = 4  # bytes of a pixel that does not compress
FILE_EXTRA = 2**20  # bytes of headers, profiles and previews
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_BIT_DEPTH = 24  # offset of the byte
GREY = ("1", "L", "LA")
TURNED = (5, 6, 7, 8)  # orientations that exchange width and height


Encoded = tuple[str, Callable[[], bytes]]  # an image's name in messages, and a function that returns its bytes


@dataclass(frozen=True)
class Fit:
    """What images must be like.

    Attributes:
        size: height and width that they have or get.
        channels: that they have or get.
        resize: whether they are resized.
        pixels_limit: largest number of pixels before that.
    """

    size: int
    channels: int
    resize: bool
    pixels_limit: int = IMAGE_PIXELS

    @classmethod
    def of(cls, dataset: ImageFiles, resize: bool) -> Fit:
        """What a dataset's description demands."""
        return cls(dataset.image_size, dataset.channels, resize, dataset.image_pixels_limit)

    @property
    def bytes_limit(self) -> int:
        """Largest size of an encoded image."""
        return FILE_PIXEL * self.pixels_limit + FILE_EXTRA

    def require_bytes(self, size: int, where: str) -> None:
        """Make sure that an encoded image is not too large to be read.

        Raises:
            UserError: it is.
        """
        if size > self.bytes_limit:
            raise UserError(
                f"{where}: {size:,} bytes, more than the {self.bytes_limit:,} that image_pixels_limit: "
                f"{self.pixels_limit} allows"
            )


class Room:
    """The memory in which images are decoded: one waits until it fits, or until no other is there.

    Args:
        size: in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size, self._taken = size, 0
        self._changed = Condition()

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Wait for ``size`` bytes, and hold them."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._size)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


def file_content(path: Path, require_bytes: Callable[[int, str], None]) -> bytes:
    """The content of a file of a dataset.

    Args:
        path: of the file.
        require_bytes: refuses a size; is also given the file's name in messages.

    Raises:
        UserError: it is not a regular file, or too large.
        OSError: it cannot be read.
    """
    with files.open_regular(path) as file:
        require_bytes(os.fstat(file.fileno()).st_size, str(path))
        return file.read()


def decoded(images: Iterable[Encoded], total: int, where: str, fit: Fit) -> Iterator[Array]:
    """Decode images, in pieces.

    Args:
        images: in the order of their labels.
        total: number of images, for the message.
        where: name of all images in the message.
        fit: what they must be like.

    Yields:
        ``(n, H, W, C)`` uint8 pieces.

    Raises:
        UserError: some images cannot be used; raised after all have been tried.
    """
    images = iter(images)
    rows = chunk_rows((fit.size, fit.size, fit.channels))
    attempt = partial(_attempt, fit=fit, room=Room(ROOM))
    unusable: list[str] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        while found := _in_order(pool, attempt, islice(images, rows)):
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


def _in_order(
    pool: ThreadPoolExecutor, attempt: Callable[[Encoded], Array | str], images: Iterable[Encoded]
) -> list[Array | str]:
    """The results of all images, which are taken as workers need them."""
    found: list[Array | str] = []
    waiting: deque[Future[Array | str]] = deque()
    for image in images:
        waiting.append(pool.submit(attempt, image))
        if len(waiting) == AHEAD:
            found.append(waiting.popleft().result())
    return found + [future.result() for future in waiting]


def _attempt(image: Encoded, fit: Fit, room: Room) -> Array | str:
    """The pixels of an image, or why it cannot be used."""
    where, content = image
    try:
        return pixels(content(), where, fit, room)
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"{where}: not readable ({error.strerror or error})"


def pixels(data: bytes, where: str, fit: Fit, room: Room | None = None) -> Array:
    """Decode one image to ``(size, size, channels)`` uint8, by the rules in this module's docstring.

    Args:
        data: the encoded image.
        where: its name in messages.
        fit: what it must be like.
        room: where to decode it; None for no limit.

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
        _require_size(image, where, fit)
        with nullcontext() if room is None else room.taking(DECODED_PIXEL * math.prod(image.size)):
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            plain = _converted(image, where, fit.channels)
            if fit.resize:
                plain = plain.resize((fit.size, fit.size), Image.Resampling.BILINEAR)
            return np.asarray(plain).reshape(fit.size, fit.size, fit.channels)


def _require_size(image: Image.Image, where: str, fit: Fit) -> None:
    """Make sure, by its header alone, that an image has the right size or may be resized."""
    width, height = image.size
    if not fit.resize and (width, height) != (fit.size, fit.size):
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation)  # PNG's own would decode the image
        shown = (height, width) if orientation in TURNED else (width, height)
        raise UserError(f"{where}: image is {shown[0]}x{shown[1]}, not {fit.size}x{fit.size}")
    if width * height > fit.pixels_limit:
        raise UserError(
            f"{where}: {width}x{height} are {width * height:,} pixels, more than image_pixels_limit: {fit.pixels_limit}"
        )


def _converted(image: Image.Image, where: str, channels: int) -> Image.Image:
    """The image in mode L or RGB, on white."""
    grey = image.mode in GREY
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    if grey:
        image = _in_mode(image, "L")
        return image if channels == 1 else image.convert("RGB")
    image = _in_mode(image, "RGB")
    if channels == 3:
        return image
    red, green, blue = image.split()
    if not red.tobytes() == green.tobytes() == blue.tobytes():
        raise UserError(f"{where}: a colour image, but channels is 1")
    return red


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image in a mode; not a copy if it already is."""
    return image if image.mode == mode else image.convert(mode)
