"""Noise carried to images at their own size keeps its bound, and everything else of the image stays."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from unlearnable.datasets.native import add, carried, decode_native, encode_native, require_alike
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError


def encoded(mode: str, size: tuple[int, int], kind: str, seed: int = 0, **options: object) -> bytes:
    draws = np.random.default_rng(seed)
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = draws.integers(0, 256, (size[1], size[0], channels), np.uint8)
    if mode == "P":
        image = Image.fromarray(pixels[..., 0]).convert("RGB").quantize(16)
    else:
        image = Image.frombytes(mode, size, pixels.tobytes()) if mode != "1" else Image.new("1", size)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    noise_size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([1, 3]),
    noise_channels=st.sampled_from([1, 3]),
    rho=st.integers(1, 127),
    seed=st.integers(0, 1000),
)
def test_carried_noise_never_exceeds_its_bound(
    size: tuple[int, int], noise_size: tuple[int, int], channels: int, noise_channels: int, rho: int, seed: int
) -> None:
    noise = np.random.default_rng(seed).choice([-rho, 0, rho], (*noise_size, noise_channels)).astype(np.int8)
    found = carried(noise, size, channels)
    assert found.shape == (size[1], size[0], channels)
    assert np.abs(found).max() <= rho


def test_noise_of_the_same_size_is_unchanged() -> None:
    noise = np.random.default_rng(0).integers(-8, 9, (5, 7, 3)).astype(np.int8)
    np.testing.assert_array_equal(carried(noise, (7, 5), 3), noise)


@pytest.mark.parametrize(
    ("mode", "kind", "kept"),
    [
        *[("L", "PNG", "L"), ("1", "PNG", "L"), ("LA", "PNG", "LA"), ("RGB", "PNG", "RGB"), ("RGBA", "PNG", "RGBA")],
        *[("P", "PNG", "RGB"), ("L", "JPEG", "L"), ("CMYK", "JPEG", "RGB"), ("RGBA", "WEBP", "RGBA")],
    ],
)
def test_size_mode_and_transparency_stay(mode: str, kind: str, kept: str) -> None:
    image = decode_native(encoded(mode, (9, 6), kind, lossless=True), "x")
    assert (image.mode, image.kept_mode, image.colour.shape[:2]) == (mode, kept, (6, 9))
    noise = carried(np.full((4, 4, 3), 5, np.int8), (9, 6), image.colour.shape[2])
    colour = add(image, noise)
    written = decode_native(encode_native(image, colour, "PNG", False), "y")
    require_alike(written, image, "y")
    assert written.kept_mode == kept
    np.testing.assert_array_equal(written.colour, colour)
    assert np.abs(written.colour.astype(int) - image.colour).max() <= 5


def turned(orientation: int) -> tuple[bytes, Array]:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "camera"
    pixels = np.random.default_rng(1).integers(0, 256, (6, 9, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", exif=exif, icc_profile=b"profile")
    return buffer.getvalue(), pixels


def test_the_orientation_is_applied_and_metadata_is_kept_only_if_asked() -> None:
    data, pixels = turned(6)
    image = decode_native(data, "x")
    np.testing.assert_array_equal(image.colour, np.rot90(pixels, -1))
    for keep in (False, True):
        with Image.open(io.BytesIO(encode_native(image, image.colour, "PNG", keep))) as written:
            exif = written.getexif()
            assert exif.get(ExifTags.Base.Make) == ("camera" if keep else None)
            assert ExifTags.Base.Orientation not in exif
            assert written.info["icc_profile"] == b"profile"


def test_another_size_or_transparency_is_named() -> None:
    image = decode_native(encoded("RGB", (9, 6), "PNG"), "x")
    with pytest.raises(UserError, match="height, width and channels are 6x8x3, and those of the original 6x9x3"):
        require_alike(decode_native(encoded("RGB", (8, 6), "PNG"), "y"), image, "y")
    with pytest.raises(UserError, match="transparency differs"):
        require_alike(decode_native(encoded("RGBA", (9, 6), "PNG"), "y"), image, "y")
