"""The augmentation of contrastive learning (SimCLR: Chen et al., ICML 2020) in supervised training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unlearnable.compute.augment import ASPECTS, Resizing
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.contrastive.settings import Contrastive
from unlearnable.datasets.split import Split

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


def build(settings: Contrastive, train: Split, classes: int, seed: int) -> Countermeasure:
    """A resized crop of each augmented image, jitter with probability 0.8 s, and grey with probability 0.2 s.

    s is the strength, in the parametrisation of Wang et al. (NeurIPS 2024). A crop has a share of the area that is
    uniform in [1 - 0.9 s, 1] and an aspect ratio with a uniform logarithm, between 3/4 and 4/3 as far as it fits; it is
    resized to the image's size as in ``compute.augment``. Brightness, contrast and saturation change by a factor
    uniform in [1 - 0.4 s, 1 + 0.4 s], and the hue by a share of the circle uniform in [-0.1 s, 0.1 s], in an order
    drawn for the batch. Flips are left to the dataset's augmentation. On grey images saturation, hue and grey do
    nothing.
    """
    s = settings.strength

    def batch(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows, device = len(pixels), generator.device

        def uniform(low: float, high: float) -> Tensor:
            draws = torch.rand(rows, 1, 1, 1, generator=generator, device=device)
            return low + (high - low) * draws

        shape = (pixels.shape[2], pixels.shape[3])
        boxes = crops(torch.rand(rows, 4, generator=generator, device=device), 1 - 0.9 * s, shape)
        pixels = Resizing(boxes, shape, shape[0])(pixels)
        brightness, contrast, saturation = (uniform(1 - 0.4 * s, 1 + 0.4 * s) for _ in range(3))
        hue = uniform(-0.1 * s, 0.1 * s)
        colour = pixels.shape[1] == 3
        changes = [lambda x: brightened(x, brightness), lambda x: contrasted(x, contrast)]
        if colour:
            changes += [lambda x: saturated(x, saturation), lambda x: turned(x, hue)]
        jittered = pixels
        for index in torch.randperm(len(changes), generator=generator, device=device).tolist():
            jittered = changes[index](jittered)
        pixels = torch.where(uniform(0, 1) < 0.8 * s, jittered, pixels)
        greyed = uniform(0, 1) < 0.2 * s
        return (torch.where(greyed, luma(pixels), pixels) if colour else pixels), labels

    return Countermeasure(batch=batch)


def crops(draws: Tensor, least: float, shape: tuple[int, int]) -> Tensor:
    """Boxes of at least a share ``least`` of an image's area, ``(B, 4)`` int64: top, left, height, width.

    Args:
        draws: ``(B, 4)``, uniform in [0, 1): area, aspect ratio, and place of the box.
        least: in [0, 1].
        shape: ``(H, W)`` of the images.
    """
    share = least + (1 - least) * draws[:, 0]
    most = torch.minimum(-share.log(), torch.full_like(share, math.log(ASPECTS[1])))  # else a side would not fit
    ratio = (most * (2 * draws[:, 1] - 1) / 2).exp()
    limits = torch.tensor(shape, device=draws.device)
    sides = (limits * torch.stack([share.sqrt() / ratio, share.sqrt() * ratio], 1)).round().long().clamp(min=1)
    sides = torch.minimum(sides, limits)
    corners = (draws[:, 2:] * (limits - sides + 1)).long()
    return torch.cat([corners, sides], 1)


def luma(pixels: Tensor) -> Tensor:
    """The luma of each pixel, ``(B, 1, H, W)``; a grey image is its own."""
    if pixels.shape[1] == 1:
        return pixels
    return (pixels * pixels.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def brightened(pixels: Tensor, factor: Tensor) -> Tensor:
    """Values times ``factor``, ``(B, 1, 1, 1)``, within [0, 255]."""
    return (pixels * factor).clamp(0, 255)


def contrasted(pixels: Tensor, factor: Tensor) -> Tensor:
    """The differences from the image's mean luma times ``factor``, within [0, 255]."""
    return torch.lerp(luma(pixels).mean((1, 2, 3), keepdim=True), pixels, factor).clamp(0, 255)


def saturated(pixels: Tensor, factor: Tensor) -> Tensor:
    """The differences from each pixel's luma times ``factor``, within [0, 255]."""
    return torch.lerp(luma(pixels), pixels, factor).clamp(0, 255)


def turned(pixels: Tensor, turns: Tensor) -> Tensor:
    """Colour images with their hue in the HSV model turned by ``turns`` of the circle, ``(B, 1, 1, 1)``.

    Value and chroma stay. A channel n (red 5, green 3, blue 1) of hue h in sixths of the circle is
    v - c max(0, min(k, 4 - k, 1)) with k = (n + h) mod 6.
    """
    red, green, blue = pixels.unbind(1)
    value, chroma = pixels.amax(1), pixels.amax(1) - pixels.amin(1)
    divisor = torch.where(chroma > 0, chroma, 1)
    hue = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    k = (pixels.new_tensor([5, 3, 1])[:, None, None] + (hue[:, None] + 6 * turns)) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)
