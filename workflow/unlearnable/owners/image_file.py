"""One image file of an owner: what it is, or why it cannot be protected and what to do about it."""

from __future__ import annotations

import hashlib
import math
import os
import stat
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from unlearnable.datasets.encoded import DAMAGE
from unlearnable.datasets.readers._decoding import FORMATS, PNG_BIT_DEPTH, PNG_START, TURNED
from unlearnable.datasets.settings import IMAGE_PIXELS

CONVERT = "convert it to PNG or JPEG"
NOT_READ = {  # suffixes of images that are not read, by their names
    **dict.fromkeys((".heic", ".heif", ".hif", ".avif"), "HEIC and AVIF"),
    **dict.fromkeys((".nef", ".cr2", ".cr3", ".arw", ".dng", ".orf", ".raf", ".rw2", ".pef"), "raw files of cameras"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".jp2", ".jxl", ".psd", ".svg"), "JPEG 2000, JPEG XL, PSD and SVG"),
}
FILE_LIMIT = 4 * IMAGE_PIXELS  # bytes


@dataclass(frozen=True)
class ImageFile:
    """An image that can be protected.

    Attributes:
        sha256: of the file.
        width: in pixels, as viewers show it.
        height: likewise.
        mode: Pillow's name.
        format: Pillow's name.
    """

    sha256: str
    width: int
    height: int
    mode: str
    format: str


def inspect(path: Path) -> ImageFile | str:
    """Read and decode one file.

    Pipes and devices are not opened, and the size in an image's header is compared before anything is decoded.

    Returns:
        The image; or what is wrong with the file, and what to do.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        link = "a link to nothing" if path.is_symlink() else f"cannot be read ({error.strerror})"
        return f"{link}; put the image here, or remove it"
    if not stat.S_ISREG(status.st_mode):
        return "a pipe, a device or a socket, not a file; remove it"
    if status.st_size == 0:
        return "empty (0 bytes); copy it again, or remove it"
    if path.suffix.lower() in NOT_READ:
        return f"{NOT_READ[path.suffix.lower()]} are not read; {CONVERT}"
    if status.st_size > FILE_LIMIT:
        return f"{status.st_size:,} bytes, more than the {FILE_LIMIT:,} of the largest image; make it smaller"
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror}); change its permissions, or remove it"
    return _decoded(data)


def _decoded(data: bytes) -> ImageFile | str:
    if data.startswith(PNG_START) and data[PNG_BIT_DEPTH : PNG_BIT_DEPTH + 1] == b"\x10":
        return "a PNG of 16 bits a channel; save it with 8 bits a channel"
    too_large = f"pixels, more than the {IMAGE_PIXELS:,} that an image may have; make it smaller"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            image = Image.open(BytesIO(data))
        with image:
            if image.format not in (*FORMATS, "MPO"):
                return f"{image.format} is not read; {CONVERT}"
            if math.prod(image.size) > IMAGE_PIXELS:
                return f"{math.prod(image.size):,} {too_large}"
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if frames > 1:
                return f"an animation of {frames} frames; save one of them as a PNG"
            image.load()
            width, height = image.size
            if image.getexif().get(ExifTags.Base.Orientation) in TURNED:
                width, height = height, width
            return ImageFile(hashlib.sha256(data).hexdigest(), width, height, image.mode, image.format or "")
    except Image.DecompressionBombError:
        return f"too many {too_large}"
    except UnidentifiedImageError:
        return f"not an image that can be read; {CONVERT}, or remove it"
    except DAMAGE:
        return "truncated or damaged; copy it again, or remove it"
