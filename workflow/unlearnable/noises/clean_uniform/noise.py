"""Error-minimizing noise with the clean-uniform term (Fang et al., CVPR 2024), SEM's successor.

The noise descends on the loss expected over transforms, without an adversary. The source model learns from protected
images under attack, as REM's and SEM's, and at the same time to tell nothing about clean images.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.compute.augment import draw
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.countermeasures.base import Lesson, Objective
from unlearnable.noises.clean_uniform.settings import CleanUniform
from unlearnable.noises.method import Batch, Descent, Problem
from unlearnable.noises.rem.noise import ascent_passes, attacked, robust_descent, robust_noise


def noise_passes(problem: Problem[CleanUniform]) -> int:
    """Forward+backward passes over a batch to compute its noise."""
    return problem.settings.k_u * problem.settings.j


def training_passes(problem: Problem[CleanUniform]) -> int:
    """Forward+backward passes of a source-training step before its update, with the full adversary."""
    return noise_passes(problem) + ascent_passes(problem)


def objective_passes(problem: Problem[CleanUniform]) -> int:
    """One for the images under attack and one for clean images."""
    return 2


def noise(network: FrozenNetwork, batch: Batch[CleanUniform]) -> Tensor:
    """Descend on the loss expected over J transforms: ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``."""
    return robust_noise(network, _unattacked(batch), ascent_steps=0)


def descent(batch: Batch[CleanUniform], seed: int) -> Descent:
    """The loss under one transform."""
    return robust_descent(_unattacked(batch))


def training_inputs(network: FrozenNetwork, batch: Batch[CleanUniform]) -> tuple[Tensor, Tensor]:
    """The source model's input at one step: protected images under attack; and the noise in them."""
    d = noise(network, batch)
    return attacked(network, batch, d), d


def training_clean(batch: Batch[CleanUniform], pixels: Tensor) -> Tensor:
    """Clean images under a new draw of the transform."""
    return draw(batch.problem.augmentation, batch.images, batch.draws)(batch.images)


def objective(problem: Problem[CleanUniform]) -> Objective:
    """The cross-entropy of the input, plus the mean distance of clean images' probabilities from equal ones.

    The distance is Euclidean. Both are passed through the network one after the other, so that batch norm takes its
    statistics of each alone.
    """
    s = problem.settings

    def minimised(network: nn.Module, lesson: Lesson) -> tuple[Tensor, Tensor]:
        logits, clean = network(lesson.pixels).float(), network(lesson.clean).float()
        distances = torch.linalg.vector_norm(clean.softmax(1) - 1 / problem.classes, dim=1)
        away = distances.square().mean() if s.squared else distances.mean()
        return F.cross_entropy(logits, lesson.targets) + s.uniform_weight * away, logits

    return minimised


def _unattacked(batch: Batch[CleanUniform]) -> Batch[CleanUniform]:
    """The same batch with no adversary."""
    return replace(batch, problem=replace(batch.problem, rho_a=0))
