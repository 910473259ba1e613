"""Robust error-minimizing noise, REM (Fu et al., ICLR 2022, Algorithm 1): min-min-max."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.attacks import FrozenNetwork, ascend
from unlearnable.descent import Problem, minimise
from unlearnable.settings.methods.rem import Rem as Settings
from unlearnable.transforms import draw

__all__ = ["Settings", "attacked_inputs", "noise", "robust_noise", "training_inputs"]


def noise(
    network: FrozenNetwork, images: Tensor, labels: Tensor, problem: Problem, generator: torch.Generator
) -> Tensor:
    """Descend on the expected loss, over J transforms, of the image under the strongest adversary.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    return robust_noise(network, images, labels, problem, generator, problem.settings.k_a)


def robust_noise(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: torch.Generator,
    ascent_steps: int,
) -> Tensor:
    """The noise against an adversary of ``ascent_steps`` steps; with none (SEM) a uniform draw remains of it."""
    s = problem.settings

    def expected_gradient(protected: Tensor) -> Tensor:
        g = torch.zeros_like(protected)
        for _ in range(s.j):
            t = draw(problem.augmentation, len(protected), generator)
            z = t(protected)
            e = ascend(network, z, labels, problem.rho_a, ascent_steps, s.alpha_a, generator)
            g += t.pull_back(network.gradient(z + e, labels))
        return g

    return minimise(images, expected_gradient, problem.rho_u, s, generator).round()


def attacked_inputs(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    d: Tensor,
    problem: Problem,
    generator: torch.Generator,
) -> Tensor:
    """A fresh transform of the protected images, under a fresh attack of K_a steps: what theta learns from."""
    s = problem.settings
    z = draw(problem.augmentation, len(images), generator)((images + d).clamp(0, 255))
    return z + ascend(network, z, labels, problem.rho_a, s.k_a, s.alpha_a, generator)


def training_inputs(
    network: FrozenNetwork, images: Tensor, labels: Tensor, problem: Problem, generator: torch.Generator
) -> Tensor:
    """What the source model learns from at one step: protected images, augmented and attacked."""
    d = noise(network, images, labels, problem, generator)
    return attacked_inputs(network, images, labels, d, problem, generator)
