"""Targeted adversarial poisons, TAP (Fowl et al., NeurIPS 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.compute.augment import draw
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import uniform, within_pixels
from unlearnable.noises.method import Batch, Descent, Problem
from unlearnable.noises.tap.settings import Tap


def noise_passes(problem: Problem[Tap]) -> int:
    """Forward+backward passes over a batch to compute its noise."""
    return problem.settings.restarts * problem.settings.steps


def noise(network: FrozenNetwork, batch: Batch[Tap]) -> Tensor:
    """Descend on the loss towards the next class, (y + 1) mod C; keep the best restart for each image.

    Every step draws a fresh transform and clips to valid pixels.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    images, draws, problem = batch.images, batch.draws, batch.problem
    s, rho_u = problem.settings, problem.rho_u
    targets = targets_of(batch)
    best = torch.zeros_like(images)
    lowest = torch.full(targets.shape, torch.inf, device=images.device)
    for _ in range(s.restarts):
        d = within_pixels(uniform(images, rho_u, draws), images)
        for _ in range(s.steps):
            t = draw(problem.augmentation, images, draws)
            g = t.pull_back(network.gradient(t(images + d), targets))
            d = within_pixels((d - s.alpha * rho_u * g.sign()).clamp(-rho_u, rho_u), images)
        d = d.round()
        losses = network.losses(images + d, targets)
        better = losses < lowest
        best = torch.where(better[:, None, None, None], d, best)
        lowest = torch.where(better, losses, lowest)
    return best


def descent(batch: Batch[Tap], seed: int) -> Descent:
    """The loss towards the next class under one transform."""
    images, draws, problem = batch.images, batch.draws, batch.problem
    start = within_pixels(uniform(images, problem.rho_u, draws), images)
    t = draw(problem.augmentation, images, draws)
    return Descent(start, lambda d: t(images + d), targets_of(batch))


def targets_of(batch: Batch[Tap]) -> Tensor:
    """The next class of each image, ``(B,)`` int64."""
    problem = batch.problem
    return (batch.labels + 1) % problem.classes
