"""Stable error-minimizing noise, SEM (AAAI 2024): REM whose noise sees a random draw in place of the attack."""

from __future__ import annotations

from torch import Tensor

from unlearnable.compute.draws import Draws
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.noises.method import Problem
from unlearnable.noises.rem.noise import ascent_passes, attacked, robust_noise
from unlearnable.noises.sem.settings import Sem


def noise_passes(problem: Problem) -> int:
    """Forward+backward passes over a batch that its noise takes."""
    settings: Sem = problem.settings
    return settings.k_u * settings.j


def training_passes(problem: Problem) -> int:
    """Forward+backward passes of a source-training step before its update, which sees the full adversary."""
    return noise_passes(problem) + ascent_passes(problem)


def noise(basis: FrozenNetwork, images: Tensor, labels: Tensor, problem: Problem, generator: Draws) -> Tensor:
    """Descend on the expected loss, over J transforms, under one uniform draw in the rho_a box.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    return robust_noise(basis, images, labels, problem, generator, start=None, ascent_steps=0)


def training_inputs(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What the source model learns from at one step, protected images under attack, and the noise in them."""
    d = robust_noise(network, images, labels, problem, generator, start, ascent_steps=0)
    return attacked(network, images + d, labels, problem, generator), d
