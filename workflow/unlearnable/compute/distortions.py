"""What trainers may do to images, as functions with gradients, so that a noise can be made to survive it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute.augment import draw as draw_transform
from unlearnable.compute.draws import Draws, by_rows
from unlearnable.datasets.augmentation import Augmentation

Distortion = Callable[[Tensor], Tensor]

FACTORS = (0.6, 1.4)  # of brightness, contrast and saturation
QUALITIES = (10, 90)  # of JPEG
WIDEST = 5  # diagonals of a block's frequencies that are removed at once
BLOCK = 8
LUMA = (0.299, 0.587, 0.114)
# The quantisation tables of Annex K of the JPEG standard, for quality 50.
LUMA_TABLE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_TABLE = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)


def draw(names: Sequence[str], images: Tensor, draws: Draws) -> Distortion:
    """Draw one of several distortions, and what it needs, for each image.

    Args:
        names: of ``DISTORTIONS``, each equally likely.
        images: ``(B, C, H, W)``; only their shape counts.
        draws: an image's draw does not depend on its batch.

    Returns:
        A function of pixels ``(B, C, H, W)`` in [0, 255] to as many in the same range. It has a gradient, and draws
        nothing.
    """

    def uniforms(rows: int, g: torch.Generator) -> Tensor:
        return torch.rand(rows, 4, generator=g, device=g.device)

    drawn = by_rows(len(images), draws, uniforms)
    chosen = (drawn[:, 0] * len(names)).long()
    made = [DISTORTIONS[name](images, drawn[:, 1:], draws) for name in names]

    def distorted(pixels: Tensor) -> Tensor:
        out = pixels
        for place, distortion in enumerate(made):
            out = torch.where(_column(chosen == place), distortion(pixels), out)
        return out

    return distorted


def _column(values: Tensor) -> Tensor:
    """``(B,)`` as ``(B, 1, 1, 1)``."""
    return values[:, None, None, None]


def none(images: Tensor, drawn: Tensor, draws: Draws) -> Distortion:
    """Leave images as they are."""
    return lambda pixels: pixels


def gray(images: Tensor, drawn: Tensor, draws: Draws) -> Distortion:
    """All channels are the luma, as in the counter-measure; images of one channel stay."""
    return _luma


def _luma(pixels: Tensor) -> Tensor:
    if pixels.shape[1] != 3:
        return pixels
    weights = pixels.new_tensor(LUMA)[:, None, None]
    return (pixels * weights).sum(1, keepdim=True).expand_as(pixels)


def jitter(images: Tensor, drawn: Tensor, draws: Draws) -> Distortion:
    """Brightness, then contrast around the mean luma, then saturation, by a factor each."""
    brightness, contrast, saturation = (
        _column(FACTORS[0] + (FACTORS[1] - FACTORS[0]) * drawn[:, each]) for each in range(3)
    )

    def distorted(pixels: Tensor) -> Tensor:
        x = (pixels * brightness.to(pixels.dtype)).clamp(0, 255)
        mean = _luma(x).mean((1, 2, 3), keepdim=True)
        x = (mean + (x - mean) * contrast.to(x.dtype)).clamp(0, 255)
        grey = _luma(x)
        return (grey + (x - grey) * saturation.to(x.dtype)).clamp(0, 255)

    return distorted


def blur(images: Tensor, drawn: Tensor, draws: Draws) -> Distortion:
    """A 3x3 binomial filter; the border is repeated, since the gradient of a mirrored one varies on GPUs."""

    def distorted(pixels: Tensor) -> Tensor:
        channels = pixels.shape[1]
        taps = pixels.new_tensor([0.25, 0.5, 0.25])
        kernel = (taps[:, None] * taps).expand(channels, 1, 3, 3)
        return F.conv2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)

    return distorted


def resized_crop(images: Tensor, drawn: Tensor, draws: Draws) -> Distortion:
    """A random box, resized to the size of the image; images are square."""
    return draw_transform(Augmentation(resized_crop=images.shape[2]), images, draws)


def jpeg(images: Tensor, drawn: Tensor, draws: Draws) -> Distortion:
    """JPEG of a random quality, without subsampling of colours; the gradient ignores the rounding."""
    low, high = QUALITIES
    quality = low + (drawn[:, 0] * (high - low + 1)).floor()
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)

    def table(of_quality_50: tuple[int, ...]) -> Tensor:
        base = torch.tensor(of_quality_50, device=scale.device).view(BLOCK, BLOCK)
        return ((base * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)

    tables = torch.stack([table(LUMA_TABLE), table(CHROMA_TABLE), table(CHROMA_TABLE)], 1)

    def rounded(coefficients: Tensor) -> Tensor:
        """Blocks ``(B, C, n, m, 8, 8)``."""
        steps = tables[:, : coefficients.shape[1], None, None].to(coefficients.dtype)
        return _rounded(coefficients / steps) * steps

    def distorted(pixels: Tensor) -> Tensor:
        channels = _rounded(_to_channels(pixels)) - 128
        return _from_channels(_by_frequency(channels, rounded) + 128).clamp(0, 255)

    return distorted


def _rounded(values: Tensor) -> Tensor:
    """Whole numbers, with the gradient of the values themselves."""
    return values + (values.round() - values).detach()


def bands(images: Tensor, drawn: Tensor, draws: Draws) -> Distortion:
    """Remove some neighbouring diagonals of the frequencies of 8x8 blocks, never the mean of a block."""
    last = 2 * BLOCK - 2
    first = 1 + (drawn[:, 0] * last).floor()
    width = 1 + (drawn[:, 1] * WIDEST).floor()
    places = torch.arange(BLOCK, device=drawn.device)
    diagonal = places[:, None] + places
    kept = (diagonal < first[:, None, None]) | (diagonal >= (first + width)[:, None, None])

    def distorted(pixels: Tensor) -> Tensor:
        return _by_frequency(pixels, lambda c: c * kept[:, None, None, None].to(c.dtype)).clamp(0, 255)

    return distorted


def _by_frequency(pixels: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply ``change`` to the cosine transform of 8x8 blocks; edges are repeated to fill the last blocks."""
    rows, columns = pixels.shape[2:]
    filled = F.pad(pixels, (0, -columns % BLOCK, 0, -rows % BLOCK), mode="replicate")
    n, m = filled.shape[2] // BLOCK, filled.shape[3] // BLOCK
    blocks = filled.reshape(*filled.shape[:2], n, BLOCK, m, BLOCK).transpose(3, 4)
    cosines = _cosines(pixels)
    back = cosines.T @ change(cosines @ blocks @ cosines.T) @ cosines
    return back.transpose(3, 4).flatten(4).flatten(2, 3)[:, :, :rows, :columns]


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal discrete cosine transform (type II) of 8 values, ``(8, 8)``."""
    places = torch.arange(BLOCK, dtype=like.dtype, device=like.device)
    waves = torch.cos(math.pi / BLOCK * places[:, None] * (places + 0.5)) * math.sqrt(2 / BLOCK)
    return torch.cat([waves[:1] / math.sqrt(2), waves[1:]])


def _colours(like: Tensor) -> Tensor:
    """The matrix from RGB to YCbCr, with Cb and Cr around 0, as JFIF defines it."""
    red, _, blue = LUMA
    luma = torch.tensor(LUMA, dtype=like.dtype, device=like.device)
    units = torch.eye(3, dtype=like.dtype, device=like.device)
    return torch.stack([luma, (units[2] - luma) / (2 - 2 * blue), (units[0] - luma) / (2 - 2 * red)])


def _to_channels(pixels: Tensor) -> Tensor:
    """RGB as Y, Cb and Cr, each around 128; other images as they are."""
    if pixels.shape[1] != 3:
        return pixels
    channels = torch.einsum("kc,bchw->bkhw", _colours(pixels), pixels)
    return channels + pixels.new_tensor([0, 128, 128])[:, None, None]


def _from_channels(channels: Tensor) -> Tensor:
    """The inverse of ``_to_channels``."""
    if channels.shape[1] != 3:
        return channels
    centred = channels - channels.new_tensor([0, 128, 128])[:, None, None]
    return torch.einsum("ck,bkhw->bchw", torch.linalg.inv(_colours(channels)), centred)


DISTORTIONS: dict[str, Callable[[Tensor, Tensor, Draws], Distortion]] = {
    "none": none,
    "gray": gray,
    "jitter": jitter,
    "resized-crop": resized_crop,
    "blur": blur,
    "jpeg": jpeg,
    "bands": bands,
}
