"""Stable error-minimizing noise, SEM (AAAI 2024): REM whose noise sees a random draw in place of the attack."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.attacks import FrozenNetwork
from unlearnable.descent import Problem
from unlearnable.noises.rem import attacked_inputs, robust_noise
from unlearnable.settings.methods.rem import Sem as Settings

__all__ = ["Settings", "noise", "training_inputs"]


def noise(
    network: FrozenNetwork, images: Tensor, labels: Tensor, problem: Problem, generator: torch.Generator
) -> Tensor:
    """Descend on the expected loss, over J transforms, under one uniform draw in the rho_a box.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    return robust_noise(network, images, labels, problem, generator, ascent_steps=0)


def training_inputs(
    network: FrozenNetwork, images: Tensor, labels: Tensor, problem: Problem, generator: torch.Generator
) -> Tensor:
    """What the source model learns from at one step: protected images, augmented and attacked as in REM."""
    d = noise(network, images, labels, problem, generator)
    return attacked_inputs(network, images, labels, d, problem, generator)
