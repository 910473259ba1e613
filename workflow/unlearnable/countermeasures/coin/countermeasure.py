"""COIN (Li et al., AAAI 2025, "Detecting and corrupting convolution-based unlearnable examples")."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.coin.settings import Coin
from unlearnable.datasets.split import Split


def build(settings: Coin, train: Split, classes: int, seed: int) -> Countermeasure:
    """A random displacement of every pixel of each augmented image, drawn again at every step.

    Both components of a displacement are uniform in [-reach, reach], independent for every pixel and image and the
    same for all channels. Interpolation is bilinear, and the image continues on the opposite side of its border. The
    published strength is a reach of 2 pixels for 32x32 images.
    """

    def batch(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows, _, height, width = pixels.shape
        draws = torch.rand(2, rows, height, width, generator=generator, device=generator.device)
        down, across = settings.reach * (2 * draws - 1)
        return displaced(pixels, down, across), labels

    return Countermeasure(batch=batch)


def displaced(pixels: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """``out[b, :, i, j]`` is ``pixels[b]`` at the point ``(i + down[b, i, j], j + across[b, i, j])``.

    Args:
        pixels: ``(B, C, H, W)``; bilinear between pixels, and periodic.
        down: ``(B, H, W)``, in pixels.
        across: the same to the right.
    """
    _, channels, height, width = pixels.shape
    rows = torch.arange(height, device=pixels.device)[:, None] + down
    columns = torch.arange(width, device=pixels.device) + across
    top, left = rows.floor(), columns.floor()
    below, right = (rows - top)[:, None], (columns - left)[:, None]

    def at(row: Tensor, column: Tensor) -> Tensor:
        places = (row.long() % height * width + column.long() % width).flatten(1)
        return pixels.flatten(2).gather(2, places[:, None].expand(-1, channels, -1)).view(pixels.shape)

    above = torch.lerp(at(top, left), at(top, left + 1), right)
    return torch.lerp(above, torch.lerp(at(top + 1, left), at(top + 1, left + 1), right), below)
