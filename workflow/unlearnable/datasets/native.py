"""Images at their own size: decoded as viewers show them, given noise made at another size, and encoded again.

The frame is that of ``readers/_decoding``: a camera's orientation is applied first, so noise that was made for the
squashed image belongs to the same places. Grey images stay grey, transparency stays, palettes and CMYK become RGB.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from unlearnable.datasets.encoded import opened
from unlearnable.datasets.readers._decoding import FORMATS, GREY
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError

ENCODING: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 3},  # level 6 takes longer for little less
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}


@dataclass(frozen=True)
class Native:
    """A decoded image.

    Attributes:
        colour: ``(H, W, C)`` uint8, C 1 for grey and 3 for RGB.
        alpha: ``(H, W)`` uint8; None for an image without transparency.
        format: of its file, by Pillow's name.
        mode: of its file, by Pillow's name.
        profile: its colour profile; None if it has none, or none that fits the decoded image.
        exif: a camera's metadata without the orientation, which is applied; None if there is none.
    """

    colour: Array
    alpha: Array | None
    format: str
    mode: str
    profile: bytes | None
    exif: bytes | None

    @property
    def kept_mode(self) -> str:
        """Pillow's name of the decoded mode."""
        return ("L" if self.colour.shape[2] == 1 else "RGB") + ("" if self.alpha is None else "A")


def decode_native(data: bytes, where: str) -> Native:
    """Decode one image at its own size.

    Args:
        data: the encoded image, of one of the formats that datasets may have.
        where: its name in messages.

    Raises:
        UserError: it cannot be decoded.
    """
    with opened(data, where, FORMATS) as image:
        kind, mode = "JPEG" if image.format == "MPO" else image.format or "", image.mode
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        exif = image.getexif()
        exif.pop(ExifTags.Base.Orientation, None)
        profile = image.info.get("icc_profile") if mode != "CMYK" else None
        kept = ("L" if mode in GREY else "RGB") + ("A" if image.has_transparency_data else "")
        pixels = np.asarray(image if image.mode == kept else image.convert(kept))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    alpha = pixels[..., -1] if kept.endswith("A") else None
    colour = pixels if alpha is None else pixels[..., :-1]
    return Native(colour, alpha, kind, mode, profile, exif.tobytes() if len(exif) else None)


def carried(noise: Array, size: tuple[int, int], channels: int) -> Array:
    """Noise at another size, by bilinear interpolation, in whole grey levels.

    Every value is a mean of values of ``noise`` with weights that are not negative, rounded, so none exceeds the
    largest of whole-numbered ``noise``.

    Args:
        noise: ``(h, w, c)`` signed whole grey levels.
        size: width and height to carry it to.
        channels: of the image that it is for; noise of three channels is averaged for a grey image, and noise of one is
            the same in all channels.

    Returns:
        ``(H, W, channels)`` int16.
    """
    levels = noise.astype(np.float32)
    if channels == 1:
        levels = levels.mean(axis=2, keepdims=True)
    planes = [Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR) for plane in np.moveaxis(levels, 2, 0)]
    whole = np.stack([np.rint(np.asarray(plane)).astype(np.int16) for plane in planes], axis=2)
    return np.broadcast_to(whole, (*whole.shape[:2], channels))


def add(image: Native, noise: Array) -> Array:
    """The colours ``clip(x + d, 0, 255)`` of an image with noise, both ``(H, W, C)``."""
    return np.clip(image.colour + noise, 0, 255).astype(np.uint8)  # type: ignore[no-any-return]


def encode_native(image: Native, colour: Array, kind: str, keep_metadata: bool) -> bytes:
    """One image with other colours, encoded.

    Args:
        image: what it is made from; its transparency and its colour profile are kept.
        colour: ``(H, W, C)`` uint8.
        kind: PNG, JPEG or WEBP; WebP is lossless here, JPEG has a quality of 95 and full colour resolution (4:4:4).
        keep_metadata: whether a camera's metadata is kept.
    """
    pixels = colour if image.alpha is None else np.dstack([colour, image.alpha])
    buffer = io.BytesIO()
    options = dict(ENCODING[kind])
    if image.profile is not None:
        options["icc_profile"] = image.profile
    if keep_metadata and image.exif is not None:
        options["exif"] = image.exif
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def require_alike(written: Native, image: Native, where: str) -> None:
    """Make sure that a written image has the size, the mode and the transparency of the one that it was made from.

    Raises:
        UserError: it has not.
    """
    if written.colour.shape != image.colour.shape:
        sizes = ["x".join(map(str, each.colour.shape)) for each in (written, image)]
        raise UserError(f"{where}: height, width and channels are {sizes[0]}, and those of the original {sizes[1]}")
    nothing = np.zeros(0)
    alphas = [nothing if each.alpha is None else each.alpha for each in (written, image)]
    if not np.array_equal(alphas[0], alphas[1]):
        raise UserError(f"{where}: its transparency differs from that of the original")
