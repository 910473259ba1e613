"""CutMix (Yun et al. 2019)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from unlearnable.countermeasures._mixing import mixed, numpy_draws
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.cutmix.settings import Cutmix
from unlearnable.datasets.split import Split


def build(settings: Cutmix, train: Split, classes: int, seed: int) -> Countermeasure:
    """A box of each augmented image is replaced by the same box of another one, and labels mix by the area.

    There is one box per batch. It has the image's proportions, a centre drawn uniformly over the image and an area of 1
    - lambda before it is cut off at the border, with lambda ~ Beta(alpha, alpha). Labels are weighted by the exact
    area. It is applied at every step, as in the paper's algorithm; the authors' commands for small images apply it at
    half of the steps, at random.
    """

    def batch(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        height, width = pixels.shape[2:]
        draws = numpy_draws(generator)
        ratio = math.sqrt(1 - draws.beta(settings.alpha, settings.alpha))
        down, across = _side(height, ratio, draws), _side(width, ratio, draws)
        partners = torch.randperm(len(pixels), generator=generator, device=generator.device)
        out = pixels.clone()
        out[:, :, down, across] = pixels[partners, :, down, across]
        share = 1 - (down.stop - down.start) * (across.stop - across.start) / (height * width)
        return out, mixed(labels, partners, share, classes)

    return Countermeasure(batch=batch)


def _side(extent: int, ratio: float, draws: np.random.Generator) -> slice:
    """One side of the box: ``ratio`` of the extent, rounded down, around a random centre, within the image."""
    side = int(extent * ratio)
    start = int(draws.integers(extent)) - side // 2
    return slice(max(start, 0), min(start + side, extent))
