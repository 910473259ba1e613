"""How close a protected image is to its original, and how much of its noise is left after what sites do to images."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from unlearnable.datasets.split import Array

SIGMA, RADIUS = 1.5, 5  # pixels, of the Gaussian windows of 11x11
STABILISERS = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # of the two fractions


class Similarity(NamedTuple):
    """How close a protected image is to its original, and the share of its noise that is left, 1 for all of it.

    Attributes:
        ssim: structural similarity.
        left_jpeg90: the share after JPEG compression at quality 90, as Pillow saves it.
        left_jpeg75: the same at quality 75.
        left_half: after scaling to half the height and width.
    """

    ssim: float
    left_jpeg90: float
    left_jpeg75: float
    left_half: float

    def written(self) -> list[str]:
        """The numbers as text."""
        return [f"{self.ssim:.4f}", *(f"{share:.2f}" for share in self[1:])]


def similarity(original: Array, protected: Array) -> Similarity:
    """Measure an image; both images go through the same compression and scaling.

    Args:
        original: ``(H, W, C)`` uint8, C 1 or 3.
        protected: likewise.
    """
    pair = _picture(original), _picture(protected)
    noise = _change(*map(_levels, pair))
    jpeg90, jpeg75 = (remaining(_change(*(_compressed(one, quality) for one in pair)), noise) for quality in (90, 75))
    half = remaining(_change(*map(_halved, pair)), noise)
    return Similarity(structural_similarity(original, protected), jpeg90, jpeg75, half)


def structural_similarity(one: Array, other: Array) -> float:
    """The mean structural similarity index of two images (Wang et al. 2004), by Gaussian windows of 11x11 pixels.

    Args:
        one: ``(H, W, C)`` uint8.
        other: likewise.
    """

    def local(values: Array) -> Array:
        mean: Array = gaussian_filter(values, (SIGMA, SIGMA, 0), radius=(RADIUS, RADIUS, 0))
        return mean

    x, y = one.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    of_means, of_spread = STABILISERS
    index = (2 * mean_x * mean_y + of_means) * (2 * covariance + of_spread)
    return float(np.mean(index / ((mean_x**2 + mean_y**2 + of_means) * (var_x + var_y + of_spread))))


def remaining(change: Array, noise: Array) -> float:
    """The share of noise in a change of the same shape: the length of its projection on the noise; 1 for no noise."""
    size = float(np.square(noise, dtype=np.int32).sum())
    return float((change.astype(np.int32) * noise).sum()) / size if size else 1.0


def _change(original: Array, protected: Array) -> Array:
    return protected - original


def _picture(image: Array) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _levels(picture: Image.Image) -> Array:
    return np.asarray(picture).astype(np.int16)


def _compressed(picture: Image.Image, quality: int) -> Array:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as saved:
        return _levels(saved)


def _halved(picture: Image.Image) -> Array:
    """The levels after scaling to half the size and back."""
    width, height = picture.size
    small = picture.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.BOX)
    return _levels(small.resize(picture.size, Image.Resampling.BILINEAR))
