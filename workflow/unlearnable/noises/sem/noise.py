"""Stable error-minimizing noise, SEM (AAAI 2024): REM with a random draw in place of the attack on the noise."""

from __future__ import annotations

from torch import Tensor

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.noises.method import Batch, Descent, Problem
from unlearnable.noises.rem.noise import ascent_passes, attacked, robust_descent, robust_noise
from unlearnable.noises.sem.settings import Sem


def noise_passes(problem: Problem[Sem]) -> int:
    """Forward+backward passes over a batch to compute its noise."""
    return problem.settings.k_u * problem.settings.j


def training_passes(problem: Problem[Sem]) -> int:
    """Forward+backward passes of a source-training step before its update, with the full adversary."""
    return noise_passes(problem) + ascent_passes(problem)


def noise(network: FrozenNetwork, batch: Batch[Sem]) -> Tensor:
    """Descend on the loss expected over J transforms, each under one uniform draw in the rho_a box.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    return robust_noise(network, batch, ascent_steps=0)


def descent(batch: Batch[Sem], seed: int) -> Descent:
    """The loss under one transform and one uniform draw in the rho_a box."""
    return robust_descent(batch)


def training_inputs(network: FrozenNetwork, batch: Batch[Sem]) -> tuple[Tensor, Tensor]:
    """The source model's input at one step: protected images under attack; and the noise in them."""
    d = noise(network, batch)
    return attacked(network, batch, d), d
