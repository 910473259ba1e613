"""UEraser-Lite (Qin et al. 2023): plasma light and contrast, shuffled channels and TrivialAugment at each step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import equalize

from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.datasets.split import Split

ROUGHNESS = (0.3, 0.7)
INTENSITY = (0.5, 1.0)
SHARE = 0.5  # of the images that each of the first three changes
CENTRE = 127.5


def build(settings: CountermeasureSettings, train: Split, classes: int, seed: int) -> Countermeasure:
    """One draw of UEraser's augmentation for each augmented image ("Learning the unlearnable", arXiv 2303.15127).

    The full method trains on the draw of the highest loss among several; its lite form, one draw, takes a single pass.
    Each of plasma brightness, plasma contrast and a permutation of the channels changes half of the images, and one
    change of TrivialAugment (Mueller and Hutter 2021) every image. Values are those of the authors' code.
    """

    def batch(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows, channels, height, width = pixels.shape
        device = generator.device

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(rows, *shape, generator=generator, device=device)

        def chosen() -> Tensor:
            return uniform(0, 1, 1, 1, 1) < SHARE

        light = plasma((rows, channels, height, width), uniform(*ROUGHNESS, 1, 1, 1), generator)
        lit = (pixels + 255 * uniform(*INTENSITY, 1, 1, 1) * (2 * light - 1)).clamp(0, 255)
        pixels = torch.where(chosen(), lit, pixels)
        gain = 4 * plasma((rows, 1, height, width), uniform(*ROUGHNESS, 1, 1, 1), generator)
        pixels = torch.where(chosen(), (CENTRE + gain * (pixels - CENTRE)).clamp(0, 255), pixels)
        order = uniform(0, 1, channels).argsort(1)[:, :, None, None].expand_as(pixels)
        pixels = torch.where(chosen(), pixels.gather(1, order), pixels)
        kinds = torch.randint(len(CHANGES), (rows,), generator=generator, device=device)
        return trivially_augmented(pixels, kinds, uniform(0, 1)), labels

    return Countermeasure(batch=batch)


def plasma(shape: tuple[int, ...], roughness: Tensor, generator: torch.Generator) -> Tensor:
    """Fractal noise between 0 and 1, both of which every map reaches.

    The sum of uniform noise on grids of 2, 3, 5, 9 ... points along a side, bilinear between them, each weighing
    ``roughness`` times as much as the coarser one. UEraser's maps come from the diamond-square algorithm, which adds
    the same noise in another order of interpolation.

    Args:
        shape: ``(B, C, H, W)``.
        roughness: ``(B, 1, 1, 1)``, in (0, 1).
        generator: of the draws.
    """
    rows, channels, height, width = shape
    device = generator.device
    total, weight = torch.zeros(shape, device=device), torch.ones_like(roughness)
    for level in range(math.ceil(math.log2(max(height, width, 2))) + 1):
        side = 2**level + 1
        grid = 2 * torch.rand(rows, channels, side, side, generator=generator, device=device) - 1
        total += weight * F.interpolate(grid, (height, width), mode="bilinear", align_corners=True)
        weight = weight * roughness
    low, high = total.amin((2, 3), keepdim=True), total.amax((2, 3), keepdim=True)
    return (total - low) / (high - low)


def trivially_augmented(pixels: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
    """Each image with one change.

    Args:
        pixels: ``(B, C, H, W)``, float in [0, 255].
        kinds: ``(B,)`` int64, the index of its change in ``CHANGES``.
        strengths: ``(B,)`` in [0, 1], which the change maps to its own range.
    """
    out = pixels.clone()
    for kind, change in enumerate(CHANGES):
        of_kind = (kinds == kind).nonzero()[:, 0]
        if len(of_kind):
            out[of_kind] = change(pixels[of_kind], strengths[of_kind].view(-1, 1, 1, 1)).clamp(0, 255)
    return out


def _factor(strength: Tensor) -> Tensor:
    return 0.1 + 1.8 * strength


def _signed(strength: Tensor, most: float) -> Tensor:
    return most * (2 * strength - 1)


def _full_range(pixels: Tensor, strength: Tensor) -> Tensor:
    low, high = pixels.amin((2, 3), keepdim=True), pixels.amax((2, 3), keepdim=True)
    return torch.where(high > low, 255 * (pixels - low) / (high - low).clamp(min=1e-6), pixels)


def _equalised(pixels: Tensor, strength: Tensor) -> Tensor:
    equalised: Tensor = equalize(pixels.round().to(torch.uint8))
    return equalised.float()


def _posterised(pixels: Tensor, strength: Tensor) -> Tensor:
    step = (5 * strength).floor().clamp(max=4).exp2()  # 8 to 4 bits
    return (pixels / step).floor() * step


def _solarised(pixels: Tensor, strength: Tensor) -> Tensor:
    return torch.where(pixels >= 255 * strength, 255 - pixels, pixels)


def _contrasted(pixels: Tensor, strength: Tensor) -> Tensor:
    return torch.lerp(pixels.mean((1, 2, 3), keepdim=True), pixels, _factor(strength))


def _brightened(pixels: Tensor, strength: Tensor) -> Tensor:
    return pixels * _factor(strength)


def _sharpened(pixels: Tensor, strength: Tensor) -> Tensor:
    """The differences from the image smoothed by the kernel of ones with 5 at its centre; the border stays."""
    kernel = pixels.new_ones(pixels.shape[1], 1, 3, 3)
    kernel[:, :, 1, 1] = 5
    smooth = pixels.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(pixels, kernel / 13, groups=pixels.shape[1])
    return torch.lerp(smooth, pixels, _factor(strength))


def _mapped(pixels: Tensor, entries: dict[tuple[int, int], Tensor]) -> Tensor:
    """Bilinear samples of ``pixels``, black outside, at affine functions of the points.

    Args:
        pixels: ``(B, C, H, W)``.
        entries: by row and column, what is added to the 2x3 matrix of the identity; across comes before down, from the
            image's centre, in halves of its sides.
    """
    theta = torch.eye(2, 3, device=pixels.device).repeat(len(pixels), 1, 1)
    for (row, column), value in entries.items():
        theta[:, row, column] += value.flatten()
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)


def _rotated(pixels: Tensor, strength: Tensor) -> Tensor:
    angle = _signed(strength, math.radians(30))
    turn = angle.cos() - 1
    return _mapped(pixels, {(0, 0): turn, (0, 1): -angle.sin(), (1, 0): angle.sin(), (1, 1): turn})


def _sheared_across(pixels: Tensor, strength: Tensor) -> Tensor:
    return _mapped(pixels, {(0, 1): _signed(strength, 0.3)})


def _sheared_down(pixels: Tensor, strength: Tensor) -> Tensor:
    return _mapped(pixels, {(1, 0): _signed(strength, 0.3)})


def _shifted_across(pixels: Tensor, strength: Tensor) -> Tensor:
    return _mapped(pixels, {(0, 2): _signed(strength, 1.0)})


def _shifted_down(pixels: Tensor, strength: Tensor) -> Tensor:
    return _mapped(pixels, {(1, 2): _signed(strength, 1.0)})


CHANGES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    *(_full_range, _equalised, _rotated, _posterised, _solarised, _contrasted, _brightened, _sharpened),
    *(_sheared_across, _sheared_down, _shifted_across, _shifted_down),
)
