"""Counter-measures that change every batch and leave the labels alone: COIN, colour shift, contrastive, UEraser."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from unlearnable import registry
from unlearnable.countermeasures import ueraser_lite
from unlearnable.countermeasures.coin.countermeasure import displaced
from unlearnable.countermeasures.contrastive import countermeasure as contrastive
from unlearnable.datasets.split import Split

KINDS = ["coin", "colour-shift", "contrastive", "ueraser-lite"]
SIZE = 12


def change_of(kind: str, **keys: Any) -> Callable[[Tensor, int], Tensor]:
    """What a counter-measure makes of pixels, by the seed of the step's generator."""
    train = Split(np.zeros((4, SIZE, SIZE, 3), np.uint8), np.arange(4), ["a", "b", "c", "d"])
    settings = registry.validated("countermeasures", {"kind": kind, **keys})
    batch = registry.load_module("countermeasures", kind).build(settings, train, 4, 0).batch

    def change(pixels: Tensor, seed: int) -> Tensor:
        labels = torch.arange(len(pixels)) % 4
        changed, targets = batch(pixels, labels, torch.Generator().manual_seed(seed))
        assert torch.equal(targets, labels)
        found: Tensor = changed
        return found

    return change


def noisy(rows: int = 6, channels: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, channels, SIZE, SIZE), generator=generator).float()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_alone_decides_and_pixels_stay_in_their_range(kind: str, channels: int) -> None:
    change, x = change_of(kind), noisy(channels=channels)
    before = x.clone()
    first = change(x, 0)
    assert torch.equal(first, change_of(kind)(x, 0))
    assert not torch.equal(first, change(x, 1))
    assert torch.equal(x, before)
    assert first.shape == x.shape
    assert first.dtype == torch.float32
    assert first.min() >= 0
    assert first.max() <= 255
    alike = change(x[:1].expand(6, -1, -1, -1), 0)  # each image has draws of its own
    assert len({image.numpy().tobytes() for image in alike}) > 4


# ---- COIN


def plainly_displaced(image: list[list[float]], down: Tensor, across: Tensor) -> list[list[float]]:
    """One channel, pixel by pixel."""
    height, width = len(image), len(image[0])
    out = [[0.0] * width for _ in range(height)]
    for i in range(height):
        for j in range(width):
            y, x = i + float(down[i, j]), j + float(across[i, j])
            for row in (math.floor(y), math.floor(y) + 1):
                for column in (math.floor(x), math.floor(x) + 1):
                    weight = (1 - abs(y - row)) * (1 - abs(x - column))
                    out[i][j] += weight * image[row % height][column % width]
    return out


def test_a_displaced_image_is_the_bilinear_one_that_continues_on_the_other_side() -> None:
    generator = torch.Generator().manual_seed(2)
    pixels = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    down, across = 6 * torch.rand(2, 2, 4, 5, generator=generator, dtype=torch.float64) - 3
    found = displaced(pixels, down, across)
    for row in range(2):
        for channel in range(3):
            expected = plainly_displaced(pixels[row, channel].tolist(), down[row], across[row])
            torch.testing.assert_close(found[row, channel], torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("axis", [2, 3])
def test_coin_moves_every_pixel_by_a_uniform_draw_of_its_own_along_both_axes(axis: int) -> None:
    """On a ramp, bilinear interpolation tells exactly how far a pixel came."""
    size, reach = 40, 2.0
    ramp = torch.arange(size).float().view([-1 if each == axis else 1 for each in range(4)])
    pixels = ramp.expand(20, 3, size, size)
    moved = (change_of("coin", reach=reach)(pixels, 0) - pixels)[:, :, 3:-3, 3:-3]  # the border is beside the other one
    torch.testing.assert_close(moved[:, 0], moved[:, 2], atol=1e-4, rtol=0)
    draws = moved[:, 0]
    assert draws.abs().max() <= reach + 1e-4
    assert abs(float(draws.mean())) < 0.05
    assert float(draws.var()) == pytest.approx(reach**2 / 3, rel=0.05)
    rows = torch.stack([draws[:, :-1].flatten(), draws[:, 1:].flatten()])
    assert abs(float(torch.corrcoef(rows)[0, 1])) < 0.05


# ---- colour shift and noise


def test_a_colour_shift_is_one_uniform_offset_for_each_channel_of_each_image() -> None:
    pixels = torch.full((2000, 3, 2, 2), 100.0)
    moved = change_of("colour-shift", shift=8.0, sigma=0.0)(pixels, 0) - pixels
    assert torch.equal(moved, moved[:, :, :1, :1].expand_as(moved))
    offsets = moved[:, :, 0, 0]
    assert offsets.abs().max() <= 8
    assert float(offsets.var()) == pytest.approx(64 / 3, rel=0.05)
    assert torch.corrcoef(offsets.T).fill_diagonal_(0).abs().max() < 0.1


def test_the_noise_of_an_image_has_one_deviation_up_to_sigma() -> None:
    pixels = torch.full((400, 3, 20, 20), 128.0)
    noise = change_of("colour-shift", shift=0.0, sigma=8.0)(pixels, 0) - pixels
    deviations = noise.flatten(1).std(1)
    assert deviations.max() < 8.6
    assert float(deviations.mean()) == pytest.approx(4, rel=0.1)
    assert float(deviations.var()) == pytest.approx(64 / 12, rel=0.15)
    by_channel = noise.flatten(2).std(2)
    assert ((by_channel / deviations[:, None] - 1).abs() < 0.2).all()


# ---- contrastive augmentation


@pytest.mark.parametrize(
    ("ours", "theirs", "values"),
    [
        (contrastive.brightened, reference.adjust_brightness, (0.6, 1.0, 1.4)),
        (contrastive.contrasted, reference.adjust_contrast, (0.6, 1.0, 1.4)),
        (contrastive.saturated, reference.adjust_saturation, (0.6, 1.0, 1.4)),
        (contrastive.turned, reference.adjust_hue, (-0.1, 0.03, 0.5)),
    ],
)
def test_each_change_of_the_jitter_is_torchvisions(ours: Any, theirs: Any, values: tuple[float, ...]) -> None:
    pixels = noisy(len(values))
    pixels[:, :, 0] = pixels[:, :1, 0]  # a line without colour
    found = ours(pixels, torch.tensor(values).view(-1, 1, 1, 1))
    for image, value, changed in zip(pixels, values, found, strict=True):
        expected = 255 * theirs(image / 255, value)
        torch.testing.assert_close(changed, expected, atol=0.15, rtol=0)  # torchvision rounds the luma's weights


@pytest.mark.parametrize("least", [0.1, 0.8])
def test_crops_are_inside_the_image_and_have_a_uniform_share_of_its_area(least: float) -> None:
    boxes = contrastive.crops(torch.rand(5000, 4, generator=torch.Generator().manual_seed(0)), least, (32, 32))
    top, left, height, width = boxes.unbind(1)
    for first, length in ((top, height), (left, width)):
        assert first.min() == 0
        assert length.min() >= 1
        assert (first + length).max() == 32
    shares = height * width / 32**2
    assert shares.min() > least - 0.05
    assert shares.max() == 1
    assert float((shares < (least + 1) / 2).float().mean()) == pytest.approx(0.5, abs=0.05)
    small = shares < 0.7  # where every aspect ratio fits
    aspects = (width / height)[small].log() / math.log(4 / 3)
    assert (aspects.abs() < 1.4).all()  # sides are whole numbers
    assert not len(aspects) or float(aspects.var()) == pytest.approx(1 / 3, rel=0.15)


def test_colours_change_in_the_stated_shares_of_the_images() -> None:
    flat = torch.tensor([180.0, 120.0, 60.0]).view(1, 3, 1, 1).expand(3000, 3, SIZE, SIZE)  # its crops are the same
    for strength in (1.0, 0.5):
        out = change_of("contrastive", strength=strength)(flat, 0)[:, :, 0, 0]
        grey = (out - out[:, :1]).abs().amax(1) < 1e-3
        same = (out - flat[:, :, 0, 0]).abs().amax(1) < 1e-2
        assert float(grey.float().mean()) == pytest.approx(0.2 * strength, abs=0.03)
        left_alone = (1 - 0.8 * strength) * (1 - 0.2 * strength)
        assert float(same.float().mean()) == pytest.approx(left_alone, abs=0.03)


def test_grey_images_are_cropped_and_their_light_changes() -> None:
    flat = torch.full((500, 1, SIZE, SIZE), 100.0)
    out = change_of("contrastive")(flat, 0)
    assert (out - out[:, :, :1, :1]).abs().max() < 1e-3
    levels = out[:, 0, 0, 0]
    assert levels.min() == pytest.approx(60, abs=3)
    assert levels.max() == pytest.approx(140, abs=3)
    ramp = torch.arange(SIZE).float().expand(500, 1, SIZE, SIZE) * 20
    spans = change_of("contrastive", strength=1.0)(ramp, 1)
    assert (spans.amax((1, 2, 3)) - spans.amin((1, 2, 3))).min() < 120


# ---- UEraser


@pytest.mark.parametrize("size", [8, 9, 28])
def test_plasma_is_the_normalised_sum_of_interpolated_grids_whose_weights_fall(size: int) -> None:
    rough = torch.tensor([0.3, 0.7]).view(2, 1, 1, 1)
    found = ueraser_lite.plasma((2, 1, size, size), rough, torch.Generator().manual_seed(3))
    generator, total = torch.Generator().manual_seed(3), np.zeros((2, size, size))
    points = np.linspace(0, 1, size)
    level = 0
    while True:
        side = 2**level + 1
        grids = (2 * torch.rand(2, 1, side, side, generator=generator) - 1).numpy()[:, 0]
        at = np.linspace(0, 1, side)
        for row, grid in enumerate(grids):
            lines = np.stack([np.interp(points, at, line) for line in grid])
            total[row] += float(rough[row]) ** level * np.stack([np.interp(points, at, line) for line in lines.T]).T
        if 2**level >= size:
            break
        level += 1
    flat = total.reshape(2, -1)
    expected = (total - flat.min(1)[:, None, None]) / np.ptp(flat, axis=1)[:, None, None]
    np.testing.assert_allclose(found[:, 0].numpy(), expected, atol=1e-5)
    assert found.amin((1, 2, 3)).eq(0).all()
    assert found.amax((1, 2, 3)).eq(1).all()


def test_rougher_plasma_varies_more_from_pixel_to_pixel() -> None:
    steps = []
    for roughness in (0.3, 0.5, 0.7):
        rough = torch.full((200, 1, 1, 1), roughness)
        maps = ueraser_lite.plasma((200, 1, 16, 16), rough, torch.Generator().manual_seed(0))
        steps.append(float(maps.diff(dim=3).abs().mean()))
    assert all(more > less for less, more in pairwise(steps))


def one_change(name: str, pixels: Tensor, strengths: list[float]) -> Tensor:
    kind = [change.__name__.lstrip("_") for change in ueraser_lite.CHANGES].index(name)
    kinds = torch.full((len(pixels),), kind)
    return ueraser_lite.trivially_augmented(pixels, kinds, torch.tensor(strengths))


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("full_range", lambda x, s: reference.autocontrast(x / 255) * 255),
        ("equalised", lambda x, s: pillow(ImageOps.equalize, x)),
        ("brightened", lambda x, s: 255 * reference.adjust_brightness(x / 255, 0.1 + 1.8 * s)),
        ("sharpened", lambda x, s: 255 * reference.adjust_sharpness(x / 255, 0.1 + 1.8 * s)),
        ("solarised", lambda x, s: 255 * reference.solarize(x / 255, s)),
        ("rotated", lambda x, s: reference.rotate(x, 60 * s - 30, interpolation=InterpolationMode.BILINEAR)),
        ("shifted_across", lambda x, s: shifted(x, round(SIZE / 2 * (1 - 2 * s)), 0)),
        ("shifted_down", lambda x, s: shifted(x, 0, round(SIZE / 2 * (1 - 2 * s)))),
        ("sheared_across", lambda x, s: sheared(x, 0.3 * (2 * s - 1))),
        ("sheared_down", lambda x, s: sheared(x.mT, 0.3 * (2 * s - 1)).mT),
    ],
)
def test_each_trivial_change_is_that_of_a_library(name: str, theirs: Any) -> None:
    strengths = [0.0, 0.25, 0.5, 0.75, 1.0]
    pixels = (noisy(5) * 0.7 + 20).round()
    found = one_change(name, pixels, strengths)
    for image, strength, changed in zip(pixels, strengths, found, strict=True):
        torch.testing.assert_close(changed, theirs(image, strength).clamp(0, 255), atol=0.1, rtol=0)


def pillow(change: Any, image: Tensor) -> Tensor:
    array = image.permute(1, 2, 0).to(torch.uint8).numpy()
    return torch.from_numpy(np.asarray(change(Image.fromarray(array))).copy()).permute(2, 0, 1).float()


def shifted(image: Tensor, right: int, down: int) -> Tensor:
    """The image moved by whole pixels, black where nothing came."""
    out = torch.zeros_like(image)
    for i in range(SIZE):
        for j in range(SIZE):
            if 0 <= i - down < SIZE and 0 <= j - right < SIZE:
                out[:, i, j] = image[:, i - down, j - right]
    return out


def sheared(image: Tensor, slope: float) -> Tensor:
    """Each row moved by the slope times its distance from the centre; linear between pixels, black outside."""
    out, places = torch.zeros_like(image), np.arange(SIZE)
    for i in range(SIZE):
        at = places + slope * (i - (SIZE - 1) / 2)
        for channel in range(3):
            line = np.concatenate([[0], image[channel, i].numpy(), [0]])
            moved = np.interp(at, np.arange(-1, SIZE + 1), line, left=0, right=0)
            out[channel, i] = torch.from_numpy(moved)
    return out


def test_posterising_keeps_eight_to_four_bits() -> None:
    levels = torch.arange(256).float().view(1, 1, 16, 16).repeat(5, 1, 1, 1)
    found = one_change("posterised", levels, [0.0, 0.3, 0.5, 0.7, 1.0])
    for image, step in zip(found, (1, 2, 4, 8, 16), strict=True):
        assert torch.equal(image, levels[0] // step * step)


def test_contrast_spreads_an_image_about_its_mean() -> None:
    pixels = torch.tensor([100.0, 120.0]).view(1, 1, 1, 2).repeat(2, 3, 2, 1)
    found = one_change("contrasted", pixels, [0.0, 1.0])
    torch.testing.assert_close(found[:, 0, 0], torch.tensor([[109.0, 111.0], [91.0, 129.0]]))


def test_half_of_the_images_get_each_of_the_first_three_changes_and_all_one_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []

    def plain(pixels: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
        seen.extend(kinds.tolist())
        assert 0 <= strengths.min() < 0.05
        assert 0.95 < strengths.max() <= 1
        return pixels

    monkeypatch.setattr(ueraser_lite, "trivially_augmented", plain)
    monkeypatch.setattr(ueraser_lite, "plasma", lambda shape, roughness, generator: torch.full(shape, 0.625))
    flat = torch.tensor([60.0, 100.0, 140.0]).view(1, 3, 1, 1).repeat(4000, 1, 2, 2)
    out = change_of("ueraser-lite")(flat, 0)[:, :, 0, 0].sort(1).values
    lit = out.mean(1) > 110  # by between 255/8 and 255/4; then contrast times 2.5 about 127.5
    spread = out[:, 2] - out[:, 0]
    assert float((spread > 90).float().mean()) == pytest.approx(0.5, abs=0.04)
    gentle = spread < 90
    assert float(lit[gentle].float().mean()) == pytest.approx(0.5, abs=0.05)
    rise = out[gentle & lit].mean(1) - 100
    assert rise.min() >= 255 / 8 - 0.1
    assert rise.max() <= 255 / 4 + 0.1
    ordered = change_of("ueraser-lite")(flat, 0)[:, :, 0, 0]
    kept = (ordered.diff(dim=1) > 0).all(1)
    assert float(kept.float().mean()) == pytest.approx(0.5 + 0.5 / 6, abs=0.05)
    assert set(seen) == set(range(12))
