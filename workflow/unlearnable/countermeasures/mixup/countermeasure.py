"""Mixup (Zhang et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.countermeasures._mixing import mixed, numpy_draws
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.mixup.settings import Mixup
from unlearnable.datasets.split import Split


def build(settings: Mixup, train: Split, classes: int, seed: int) -> Countermeasure:
    """Each augmented image becomes lambda x + (1 - lambda) x', and its label likewise.

    lambda ~ Beta(alpha, alpha) is drawn once per batch; x' is a random image of the batch, possibly x itself, as in the
    authors' code.
    """

    def batch(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        share = numpy_draws(generator).beta(settings.alpha, settings.alpha)
        partners = torch.randperm(len(pixels), generator=generator, device=generator.device)
        return torch.lerp(pixels[partners], pixels, share), mixed(labels, partners, share, classes)

    return Countermeasure(batch=batch)
