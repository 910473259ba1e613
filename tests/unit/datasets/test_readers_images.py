"""Image files of every kind to pixels: what is converted, and what is refused."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from unlearnable.datasets.readers import _decoding
from unlearnable.datasets.readers._decoding import Fit, decoded, pixels
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError

GREY, COLOUR = Fit(8, 1, resize=False), Fit(8, 3, resize=False)
ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture(autouse=True)
def quiet_pillow(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "PIL")


def encoded(image: Image.Image, form: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def random_image(mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    array = np.random.default_rng(1).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Image.fromarray(array[..., 0] if channels == 1 else array, mode)


@pytest.mark.parametrize("form", ["png", "bmp", "webp"])
def test_pixels_of_lossless_formats_are_kept(form: str) -> None:
    image = random_image()
    options = {"lossless": True} if form == "webp" else {}
    assert np.array_equal(pixels(encoded(image, form, **options), "here", COLOUR), np.asarray(image))


def test_a_jpeg_is_read_as_it_is_shown() -> None:
    data = encoded(random_image(), "jpeg", quality=90)
    with Image.open(io.BytesIO(data)) as shown:
        assert np.array_equal(pixels(data, "here", COLOUR), np.asarray(shown))


def test_of_a_jpeg_with_several_pictures_the_first_is_taken() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = encoded(first, "mpo", save_all=True, append_images=[second])
    with Image.open(io.BytesIO(data)) as both:
        assert (both.format, both.n_frames) == ("MPO", 2)  # type: ignore[attr-defined]
    assert abs(pixels(data, "here", COLOUR).astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_stands_as_its_camera_says(orientation: int) -> None:
    upright = Image.new("L", (8, 8), 0)
    ImageDraw.Draw(upright).rectangle((0, 0, 3, 1), 255)  # in the upper left, wider than high
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found = pixels(encoded(stored, "jpeg", quality=100, exif=exif), "here", GREY)
    assert np.array_equal(found[..., 0] > 127, np.asarray(upright) > 127)


def test_orientation_comes_before_the_size_is_looked_at() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    with pytest.raises(UserError, match="image is 7x8, not 8x8"):
        pixels(encoded(random_image(size=(8, 7)), "jpeg", exif=exif), "here", COLOUR)


def test_cmyk_becomes_rgb() -> None:
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpeg", quality=100)
    assert abs(pixels(data, "here", COLOUR).astype(int) - (255, 0, 0)).max() <= 4


def test_a_palette_becomes_rgb() -> None:
    image = random_image().quantize(16)
    assert np.array_equal(pixels(encoded(image), "here", COLOUR), np.asarray(image.convert("RGB")))
    assert np.array_equal(pixels(encoded(image, "gif"), "here", COLOUR), np.asarray(image.convert("RGB")))


def test_a_grey_image_gets_three_equal_channels() -> None:
    image = random_image("L")
    found = pixels(encoded(image), "here", COLOUR)
    assert all(np.array_equal(found[..., channel], np.asarray(image)) for channel in range(3))


def test_black_and_white_is_0_and_255() -> None:
    image = Image.fromarray(np.eye(8, dtype=bool))
    assert np.array_equal(pixels(encoded(image), "here", GREY)[..., 0], 255 * np.eye(8))


def test_a_coloured_image_without_colour_becomes_grey() -> None:
    grey = random_image("L")
    assert np.array_equal(pixels(encoded(grey.convert("RGB")), "here", GREY)[..., 0], np.asarray(grey))


def test_a_coloured_image_is_refused_where_grey_is_asked_for() -> None:
    image = random_image("L").convert("RGB")
    image.putpixel((3, 4), (1, 2, 3))
    with pytest.raises(UserError, match=r"^here: a colour image, but channels is 1$"):
        pixels(encoded(image), "here", GREY)


def test_what_is_transparent_becomes_white() -> None:
    image = random_image("RGBA")
    image.putalpha(0)
    assert (pixels(encoded(image), "here", COLOUR) == 255).all()


def test_what_is_opaque_keeps_its_colours_and_the_rest_is_mixed_with_white() -> None:
    image = random_image()
    opaque = image.copy()
    opaque.putalpha(255)
    assert np.array_equal(pixels(encoded(opaque), "here", COLOUR), np.asarray(image))
    half = image.copy()
    half.putalpha(51)  # a fifth
    mixed = np.asarray(image) / 5 + 255 * 4 / 5
    assert abs(pixels(encoded(half), "here", COLOUR) - mixed).max() <= 1


@pytest.mark.parametrize("fit", [GREY, COLOUR])
def test_a_transparent_grey_image_is_grey_on_white(fit: Fit) -> None:
    image = Image.new("LA", (8, 8), (100, 255))
    image.putpixel((0, 0), (100, 0))
    found = pixels(encoded(image), "here", fit)
    assert (found[0, 0] == 255).all()
    assert (found[1:] == 100).all()


@pytest.mark.parametrize("form", ["png", "gif"])
def test_a_transparent_colour_of_a_palette_becomes_white(form: str) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((3, 0), 1)
    found = pixels(encoded(image, form, transparency=0), "here", COLOUR)
    assert found[0, 3].tolist() == [40, 50, 60]
    assert found[1].tolist() == [[255, 255, 255]] * 8


def test_squash_gives_every_shape_the_same_size() -> None:
    fit = Fit(8, 3, resize=True)
    image = Image.new("RGB", (40, 16), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 19, 15), "black")  # its left half
    found = pixels(encoded(image), "here", fit)
    assert found.shape == (8, 8, 3)
    assert (found[:, :3] == 0).all()
    assert (found[:, 5:] == 255).all()


def test_squash_averages_over_the_pixels_it_covers() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    found = pixels(encoded(Image.fromarray(stripes)), "here", Fit(8, 1, resize=True))
    assert abs(found.astype(int) - 100).max() <= 4  # without averaging, 0 or 200


def test_squash_leaves_an_image_of_the_right_size_alone() -> None:
    image = random_image()
    assert np.array_equal(pixels(encoded(image), "here", Fit(8, 3, resize=True)), np.asarray(image))


def png16(colour: int) -> bytes:
    """A PNG of 8x8 with 16 bits a channel; ``colour`` is its colour type, 0 for grey and 2 for RGB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + bytes(8 * 2 * (3 if colour == 2 else 1))) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 16, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animation(form: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("fit", [GREY, COLOUR, Fit(8, 3, resize=True)])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"GIF89a, or so it says", "truncated, or not an image"),
        (b"<html>404</html>", "truncated, or not an image of PNG, JPEG, GIF, BMP, WEBP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "truncated, or not an image"),
        (encoded(Image.new("L", (8, 8)), "tiff"), "truncated, or not an image"),
        (png16(0), "a PNG of 16 bits a channel; 8 bits are needed"),
        (png16(2), "a PNG of 16 bits a channel; 8 bits are needed"),
        (animation("gif"), "an animation of 3 frames; one is needed"),
        (animation("png"), "an animation of 3 frames; one is needed"),
        (animation("webp"), "an animation of 3 frames; one is needed"),
    ],
)
def test_what_is_no_image_is_named_and_refused(data: bytes, message: str, fit: Fit) -> None:
    with pytest.raises(UserError, match=f"^here: {message}"):
        pixels(data, "here", fit)


@pytest.mark.parametrize("size", [(9, 8), (8, 7)])
def test_an_image_of_another_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=f"^here: image is {size[0]}x{size[1]}, not 8x8$"):
        pixels(encoded(Image.new("L", size)), "here", GREY)


def test_an_image_of_absurd_size_is_refused_before_it_fills_the_memory() -> None:
    bomb = bytearray(png16(0))
    bomb[16:25] = struct.pack(">IIB", 2**16, 2**16, 8)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    with pytest.raises(UserError, match=r"here: .*exceeds limit"):
        pixels(bytes(bomb), "here", GREY)


def found_in(data: bytes, fit: Fit = GREY) -> Array | str:
    """The pixels, or why there are none."""
    try:
        return pixels(data, "here", fit)
    except UserError as error:
        return str(error)


def test_a_truncated_png_is_refused(make_split: Callable[..., Split], encode_png: Callable[[Array], bytes]) -> None:
    image = make_split(1).images[:][0]
    whole = encode_png(image)
    for length in range(1, len(whole)):
        found = found_in(whole[:length])
        if isinstance(found, str):
            assert found.startswith("here: truncated, or not an image")
        else:  # only checksums and the end mark are lost, no pixel is
            assert length >= len(whole) - 20
            assert np.array_equal(found, image)


@pytest.mark.parametrize("form", ["jpeg", "gif", "bmp", "webp"])
def test_a_truncated_image_is_refused(form: str) -> None:
    whole = encoded(random_image(size=(64, 64)), form)
    fit = Fit(64, 3, resize=False)
    for length in range(1, len(whole) * 9 // 10, 7):
        assert isinstance(found_in(whole[:length], fit), str)


@given(place=st.integers(0, 2**16), bit=st.integers(0, 7))
def test_a_flipped_bit_in_a_png_is_refused_or_harmless(
    make_split: Callable[..., Split], encode_png: Callable[[Array], bytes], place: int, bit: int
) -> None:
    image = make_split(1).images[:][0]
    data = bytearray(encode_png(image))
    data[place % len(data)] ^= 1 << bit
    found = found_in(bytes(data))
    assert found.startswith("here: ") if isinstance(found, str) else np.array_equal(found, image)


@given(form=st.sampled_from(["png", "jpeg", "gif", "bmp", "webp", "mpo"]), data=st.data())
def test_no_damage_ends_in_anything_but_pixels_or_a_message(form: str, data: st.DataObject) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = bytearray(encoded(random_image(), form, **({"exif": exif} if form in ("png", "jpeg", "webp") else {})))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = found_in(bytes(content), COLOUR)
    assert found.startswith("here: ") if isinstance(found, str) else found.shape == (8, 8, 3)


# ---- many of them


def images(unusable: dict[int, bytes], rows: int = 40) -> Iterator[_decoding.Encoded]:
    """Images of their own row's grey level, some of them replaced."""
    for row in range(rows):
        data = unusable.get(row, encoded(Image.new("L", (8, 8), row)))
        yield f"row {row}", lambda data=data: data  # type: ignore[misc]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decoding, "chunk_rows", lambda shape: 7)


@pytest.mark.usefixtures("small_pieces")
def test_images_come_in_pieces_and_in_order() -> None:
    pieces = list(decoded(images({}), 40, "set", GREY))
    assert [len(piece) for piece in pieces] == [7] * 5 + [5]
    assert np.concatenate(pieces)[:, 0, 0, 0].tolist() == list(range(40))


@pytest.mark.usefixtures("small_pieces")
def test_few_images_are_opened_ahead_of_those_that_are_taken() -> None:
    opened = []

    def watched() -> Iterator[_decoding.Encoded]:
        for row, (where, content) in enumerate(images({})):
            opened.append(row)
            yield where, content

    next(decoded(watched(), 40, "set", GREY))
    assert len(opened) == 7


@pytest.mark.usefixtures("small_pieces")
def test_one_image_that_cannot_be_used_is_named() -> None:
    with pytest.raises(UserError, match=r"^row 20: empty \(0 bytes\)$"):
        list(decoded(images({20: b""}), 40, "set", GREY))


@pytest.mark.usefixtures("small_pieces")
def test_images_that_cannot_be_used_are_named_in_one_message() -> None:
    unusable = {5: b"", 6: b"text", 39: png16(0)}
    with pytest.raises(UserError, match=r"^set: 3 of 40 images cannot be used: row 5: .*; row 6: .*; row 39: .*$") as e:
        list(decoded(images(unusable), 40, "set", GREY))
    assert "\n" not in str(e.value)


@pytest.mark.usefixtures("small_pieces")
def test_of_many_images_that_cannot_be_used_ten_are_named_and_all_are_counted() -> None:
    unusable = dict.fromkeys(range(13, 40), b"")
    with pytest.raises(UserError, match=r"^set: 27 of 40 images .*; row 22: [^;]*; and 17 more$") as e:
        list(decoded(images(unusable), 40, "set", GREY))
    assert str(e.value).count("row ") == 10


def test_a_file_that_cannot_be_read_is_named() -> None:
    def gone() -> bytes:
        raise FileNotFoundError(2, "No such file or directory", "a.png")

    with pytest.raises(UserError, match=r"^a\.png: not readable \(No such file or directory\)$"):
        list(decoded([("a.png", gone)], 1, "set", GREY))
