"""Cutout (DeVries and Taylor 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.cutout.settings import Cutout
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError

GREY = 127.5  # which every network sees as 0; the original also fills with 0, after normalising the images


def build(settings: Cutout, train: Split, classes: int, seed: int) -> Countermeasure:
    """A square of mid-grey in each augmented image, with a centre drawn uniformly over the image.

    The square is cut off at the border, as in the original, whose side is 16 for images of 32 pixels.

    Raises:
        UserError: the square is larger than the image.
    """
    height, width, channels = train.images.shape[1:]
    if (misfit := settings.misfit((height, width, channels), classes)) is not None:
        raise UserError(f"counter-measure cutout: {misfit}")

    def inside(extent: int, rows: int, generator: torch.Generator) -> Tensor:
        """For each image, which of the ``extent`` rows or columns the square covers."""
        size = settings.size or extent // 2
        centre = torch.randint(extent, (rows, 1), generator=generator, device=generator.device)
        from_start = torch.arange(extent, device=generator.device) - (centre - size // 2)
        return (from_start >= 0) & (from_start < size)

    def batch(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows, _, height, width = pixels.shape
        down = inside(height, rows, generator)[:, None, :, None]
        across = inside(width, rows, generator)[:, None, None, :]
        return pixels.masked_fill(down & across, GREY), labels

    return Countermeasure(batch=batch)
