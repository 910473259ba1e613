"""A colour shift and Gaussian noise, one of the adaptive trainers of DUNE's authors (ICML 2026)."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.colour_shift.settings import ColourShift
from unlearnable.datasets.split import Split


def build(settings: ColourShift, train: Split, classes: int, seed: int) -> Countermeasure:
    """x + s + n, clipped to [0, 255], for each augmented image x.

    The offset s of each channel is uniform in [-shift, shift], and n is normal with a standard deviation that is drawn
    for the image, uniformly in [0, sigma].
    """

    def batch(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows, channels, device = len(pixels), pixels.shape[1], generator.device
        offsets = settings.shift * (2 * torch.rand(rows, channels, 1, 1, generator=generator, device=device) - 1)
        deviations = settings.sigma * torch.rand(rows, 1, 1, 1, generator=generator, device=device)
        noise = torch.randn(pixels.shape, generator=generator, device=device)
        return (pixels + offsets + deviations * noise).clamp(0, 255), labels

    return Countermeasure(batch=batch)
