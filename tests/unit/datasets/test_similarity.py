"""How close images are, and what is left of noise after what sites do to images."""

from __future__ import annotations

import numpy as np
import pytest

from unlearnable.datasets.similarity import remaining, similarity, structural_similarity
from unlearnable.datasets.split import Array


def windows(values: Array, weights: Array) -> Array:
    """Weighted local means by loops, with the border mirrored."""
    padded = np.pad(values, 5, mode="symmetric")
    height, width = values.shape
    at = [[np.sum(padded[y : y + 11, x : x + 11] * weights) for x in range(width)] for y in range(height)]
    return np.array(at)


def test_structural_similarity_is_its_formula() -> None:
    draws = np.random.default_rng(0)
    one = draws.integers(0, 256, (14, 13), np.uint8)
    other = np.clip(one.astype(int) + draws.integers(-20, 21, one.shape), 0, 255).astype(np.uint8)
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    x, y = one.astype(float), other.astype(float)
    mean_x, mean_y = windows(x, weights), windows(y, weights)
    var_x, var_y = windows(x * x, weights) - mean_x**2, windows(y * y, weights) - mean_y**2
    both = windows(x * y, weights) - mean_x * mean_y
    a, b = 6.5025, 58.5225
    wanted = (2 * mean_x * mean_y + a) * (2 * both + b) / ((mean_x**2 + mean_y**2 + a) * (var_x + var_y + b))
    assert structural_similarity(one[..., None], other[..., None]) == pytest.approx(wanted.mean(), abs=1e-9)
    assert structural_similarity(one[..., None], one[..., None]) == pytest.approx(1)


def smooth(channels: int, size: int = 64) -> Array:
    """A soft image of middle brightness."""
    place = np.arange(size) / size
    image = 90 + 70 * place[:, None, None] * np.ones((1, size, channels)) * place[None, :, None]
    return np.rint(image).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_coarse_noise_survives_and_single_pixels_do_not(channels: int) -> None:
    clean = smooth(channels)
    draws = np.random.default_rng(0)
    coarse = np.kron(draws.choice([-8, 8], (8, 8, 1)), np.ones((8, 8, channels), int))
    fine = draws.choice([-8, 8], clean.shape)
    of_coarse, of_fine = (similarity(clean, (clean + noise).astype(np.uint8)) for noise in (coarse, fine))
    assert min(of_coarse[1:]) > 0.85
    assert of_fine.left_half < 0.45
    assert of_fine.left_jpeg75 < 0.9 * of_fine.left_jpeg90
    assert of_fine.left_jpeg75 < of_coarse.left_jpeg75
    assert 0 < of_fine.ssim < of_coarse.ssim < 1


def test_no_noise_is_left_whole() -> None:
    clean = smooth(3)
    assert similarity(clean, clean) == pytest.approx((1, 1, 1, 1))


def test_what_is_left_is_the_projection_on_the_noise() -> None:
    noise = np.array([[3, -4]], np.int16)
    assert remaining(noise, noise) == 1
    assert remaining(np.array([[4, 3]], np.int16), noise) == 0
    assert remaining(-noise, noise) == -1
    assert remaining(noise // 2 * 2, noise) == pytest.approx((3 * 2 + 16) / 25)


def test_images_of_one_pixel_are_measured_too() -> None:
    one = np.full((1, 1, 3), 9, np.uint8)
    assert similarity(one, one + 4).left_half == 1
