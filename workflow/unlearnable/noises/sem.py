"""Stable error-minimizing noise, SEM (AAAI 2024): REM whose noise sees a random draw in place of the attack."""

from __future__ import annotations

from torch import Tensor

from unlearnable.attacks import FrozenNetwork
from unlearnable.descent import Problem
from unlearnable.draws import Draws
from unlearnable.noises.rem import robust_noise, training_inputs
from unlearnable.settings.methods.rem import Sem as Settings

__all__ = ["Settings", "noise", "noise_passes", "training_inputs", "training_passes"]


def noise_passes(settings: Settings) -> int:
    """Forward+backward passes over a batch that its noise takes."""
    return settings.k_u * settings.j


def training_passes(settings: Settings) -> int:
    """Forward+backward passes of a source-training step before its update, which sees the full adversary."""
    return noise_passes(settings) + settings.k_a


def noise(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None = None,
) -> Tensor:
    """Descend on the expected loss, over J transforms, under one uniform draw in the rho_a box.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    return robust_noise(network, images, labels, problem, generator, start, ascent_steps=0)
