"""Counter-measures that change the training images once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unlearnable import registry
from unlearnable.countermeasures._images import applied_once
from unlearnable.countermeasures.mean.settings import Mean
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError

KINDS = ["mean", "median", "gaussian", "bilateral", "grayscale", "jpeg", "bit-depth", "rescale", "orthogonal"]
KINDS += ["equalise", "standardise"]  # these change test images too


def split(channels: int, rows: int = 12, size: int = 9) -> Split:
    draws = np.random.default_rng(channels)
    images = draws.integers(0, 256, (rows, size, size, channels), np.uint8)
    return Split(images, np.arange(rows, dtype=np.int64) % 3, ["a", "b", "c"])


def change_of(kind: str, train: Split, **keys: Any) -> Callable[[Array], Array]:
    settings = registry.validated("countermeasures", {"kind": kind, **keys})
    images = registry.load_module("countermeasures", kind).build(settings, train, 3, 0).images
    assert images is not None
    change: Callable[[Array], Array] = images
    return change


def windows(images: Array, size: int, border: Any) -> Array:
    """Every pixel's window, ``(size * size, n, H, W, C)`` of int64."""
    pad, (height, width) = size // 2, images.shape[1:3]
    padded = np.pad(images.astype(np.int64), ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=border)
    return np.stack([padded[:, i : i + height, j : j + width] for i in range(size) for j in range(size)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [3, 5])
def test_mean_is_the_rounded_mean_of_each_window_of_the_mirrored_image(channels: int, size: int) -> None:
    train = split(channels)
    expected = np.rint(windows(train.images[:], size, "reflect").mean(0))
    assert np.array_equal(change_of("mean", train, size=size)(train.images[:]), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [3, 5])
def test_median_is_the_median_of_each_window_of_the_image_with_repeated_borders(channels: int, size: int) -> None:
    train = split(channels)
    expected = np.median(windows(train.images[:], size, "edge"), axis=0)
    assert np.array_equal(change_of("median", train, size=size)(train.images[:]), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_gaussian_weighs_1_2_1_in_both_directions(channels: int) -> None:
    train = split(channels)
    kernel = np.outer([1, 2, 1], [1, 2, 1]).reshape(9, 1, 1, 1, 1)
    expected = ((kernel * windows(train.images[:], 3, "reflect")).sum(0) + 8) // 16
    assert np.array_equal(change_of("gaussian", train)(train.images[:]), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_bilateral_weighs_by_distance_and_difference(channels: int) -> None:
    train = split(channels)
    near = windows(train.images[:], 9, "reflect")
    down, across = np.divmod(np.arange(81), 9)
    squared = ((down - 4) ** 2 + (across - 4) ** 2).reshape(-1, 1, 1, 1, 1)
    difference = np.abs(near - train.images[:]).sum(-1, keepdims=True)
    weights = (squared <= 16) * np.exp(-squared / (2 * 5.0**2) - difference**2 / (2 * 75.0**2))
    expected = (weights * near).sum(0) / weights.sum(0)
    found = change_of("bilateral", train, sigma_space=5)(train.images[:])
    assert np.abs(found - expected).max() < 0.51


def test_bilateral_spares_an_edge_that_mean_blurs() -> None:
    image = np.zeros((1, 8, 8, 1), np.uint8)
    image[:, :, 4:] = 200
    train = Split(image, np.zeros(1, np.int64), ["a"])
    assert np.array_equal(change_of("bilateral", train, sigma_color=10)(image), image)
    assert not np.array_equal(change_of("mean", train)(image), image)


def test_grayscale_is_itu_601_luma_in_three_equal_channels() -> None:
    train = split(3)
    weights = np.array([19595, 38470, 7471])  # 0.299, 0.587 and 0.114 over 65536
    luma = (train.images[:].astype(np.int64) @ weights + 2**15) // 2**16
    found = change_of("grayscale", train)(train.images[:])
    assert all(np.array_equal(found[..., channel], luma) for channel in range(3))


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_gives_what_a_jpeg_file_would_hold(channels: int, encode_png: Callable[[Array], bytes]) -> None:
    train = split(channels, size=16)
    found = change_of("jpeg", train, quality=30)(train.images[:])
    for row, image in enumerate(train.images[:]):
        file = io.BytesIO()
        Image.open(io.BytesIO(encode_png(image))).save(file, "JPEG", quality=30)
        assert np.array_equal(found[row].squeeze(), np.asarray(Image.open(file)))


def test_jpeg_of_quality_10_rounds_the_mean_of_a_flat_block_to_steps_of_10() -> None:
    """The coarsest step of the standard's table is 16; quality 10 makes it 80, and a block's mean counts 8 times."""
    levels = np.arange(0, 256, dtype=np.uint8)
    flat = np.broadcast_to(levels[:, None, None, None], (256, 8, 8, 1))
    found = change_of("jpeg", Split(flat, np.zeros(256, np.int64), ["a"]))(flat)
    offset = levels.astype(int) - 128
    expected = np.clip(128 + 10 * (np.sign(offset) * ((np.abs(offset) + 5) // 10)), 0, 255)
    assert (found == found[:, :1, :1]).all()
    assert np.array_equal(found[:, 0, 0, 0], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_rescale_keeps_smooth_images_and_takes_a_checkerboard_away(channels: int) -> None:
    train = split(channels)
    squares = (255 * (np.indices((16, 16)).sum(0) % 2)).astype(np.uint8)
    board = np.broadcast_to(squares[None, :, :, None], (1, 16, 16, channels)).copy()
    found = change_of("rescale", train)(board)
    assert (np.abs(found[:, 2:-2, 2:-2].astype(int) - 127.5) <= 0.5).all()
    flat = np.full((2, 9, 9, channels), 77, np.uint8)
    assert np.array_equal(change_of("rescale", train)(flat), flat)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["equalise", "standardise"])
def test_what_a_network_must_see_at_every_time_changes_test_images_too(kind: str, channels: int) -> None:
    train = split(channels)
    settings = registry.validated("countermeasures", {"kind": kind})
    measure = registry.load_module("countermeasures", kind).build(settings, train, 3, 0)
    assert measure.test_images is measure.images is not None


@pytest.mark.parametrize("channels", [1, 3])
def test_standardising_takes_offset_and_gain_of_each_channel_away(channels: int) -> None:
    train = split(channels, size=16)
    images = (train.images[:] // 4 + 90).astype(np.uint8)
    found = change_of("standardise", train)(images).astype(float)
    for image, changed in zip(images, found, strict=True):
        for channel in range(channels):
            values = image[..., channel].astype(float)
            expected = np.clip(42.5 * (values - np.mean(values)) / np.std(values) + 127.5, 0, 255)
            assert np.abs(changed[..., channel] - expected).max() < 0.5 + 1e-9
            assert changed[..., channel].mean() == pytest.approx(127.5, abs=0.5)
            assert changed[..., channel].std() == pytest.approx(42.5, abs=0.5)
    moved = change_of("standardise", train)((images.astype(int) * 2 - 100).astype(np.uint8))
    assert np.abs(moved - found).max() <= 1


def test_a_channel_of_one_level_is_grey_to_the_network_and_outliers_are_clipped() -> None:
    flat = np.full((1, 8, 8, 1), 200, np.uint8)
    change = change_of("standardise", Split(flat, np.zeros(1, np.int64), ["a"]))
    assert set(change(flat).flatten().tolist()) <= {127, 128}
    flat[0, 3, 3] = 255  # more than three standard deviations from the others
    assert change(flat)[0, 3, 3, 0] == 255


@pytest.mark.parametrize("channels", [1, 3])
def test_equalising_maps_each_level_by_the_share_of_the_pixels_below_it(channels: int) -> None:
    train = split(channels, rows=3, size=32)
    images = (train.images[:].astype(int) ** 2 // 255 // 2 + 10).astype(np.uint8)
    found = change_of("equalise", train)(images)
    for image, changed in zip(images, found, strict=True):
        for channel in range(channels):
            values = image[..., channel].flatten().tolist()
            counts = [values.count(level) for level in range(256)]
            step = (len(values) - counts[max(values)]) // 255
            below, mapped = step // 2, {}
            for level in range(256):
                mapped[level] = min(below // step, 255)
                below += counts[level]
            assert changed[..., channel].flatten().tolist() == [mapped[level] for level in values]


@pytest.mark.parametrize("bits", range(1, 8))
def test_bit_depth_rounds_down_to_equal_steps(bits: int) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    step = 256 // 2**bits
    found = change_of("bit-depth", Split(levels, np.zeros(1, np.int64), ["a"]), bits=bits)(levels)
    assert np.array_equal(found, levels // step * step)
    assert len(np.unique(found)) == 2**bits


@pytest.mark.parametrize("kind", KINDS)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=12))
def test_the_result_does_not_depend_on_the_chunks_and_the_input_stays(kind: str, sizes: list[int]) -> None:
    train = split(3, size=17)  # Pillow equalises images of 255 pixels and more
    before = train.images[:].copy()
    change = change_of(kind, train)
    whole = change(train.images[:])
    parts, at = [], 0
    for size in [*sizes, 12]:
        if at < 12:
            parts.append(change(train.images[at : at + size]))
            at += size
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.uint8
    assert not np.array_equal(whole, before)
    assert np.array_equal(train.images[:], before)
    assert np.array_equal(change_of(kind, train)(train.images[:]), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_are_only_mapped_for_reading_will_do(kind: str) -> None:
    train = split(3)
    mapped = train.images[:].copy()
    mapped.setflags(write=False)
    assert np.array_equal(
        change_of(kind, Split(mapped, train.labels, train.classes))(mapped), change_of(kind, train)(train.images[:])
    )


def test_filters_leave_the_number_of_threads_of_others_alone() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        train = split(1)
        change_of("mean", train)(train.images[:])
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(("kind", "channels"), [("grayscale", 1), ("jpeg", 4), ("mean", 2)])
def test_images_of_the_wrong_channels_are_refused(kind: str, channels: int) -> None:
    with pytest.raises(UserError, match=rf"counter-measure {kind}: the images have {channels} channel"):
        change_of(kind, split(channels))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda images: images[:, ::2, ::2], r"makes \(12, 5, 5, 3\) uint8 of \(12, 9, 9, 3\)"),
        (lambda images: images.astype(np.float32), "float32"),
    ],
)
def test_a_change_of_shape_or_type_is_refused(change: Callable[[Array], Array], complaint: str) -> None:
    train = split(3)
    images = applied_once(Mean(kind="mean"), train, change).images
    assert images is not None
    with pytest.raises(UserError, match=complaint):
        images(train.images[:])
