"""No noise: standard training on clean data, which is also TAP's source model."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.compute.augment import draw
from unlearnable.compute.draws import Draws
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Split
from unlearnable.noises.method import Problem


def noise_passes(problem: Problem) -> int:
    """Forward+backward passes over a batch that its noise takes."""
    return 0


def training_passes(problem: Problem) -> int:
    """Forward+backward passes of a source-training step before its update."""
    return 0


def basis(network: FrozenNetwork | None, train: Split, problem: Problem, seed: int, device: torch.device) -> None:
    """Nothing: there is no noise to compute."""


def noise(basis: None, images: Tensor, labels: Tensor, problem: Problem, generator: Draws) -> Tensor:
    """Zeros."""
    return torch.zeros_like(images)


def training_inputs(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What the source model learns from at one step, the augmented images, and their noise, which is zero."""
    return draw(problem.augmentation, images, generator)(images), torch.zeros_like(images)
