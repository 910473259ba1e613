"""Entangled features, EntF (Wen et al., ICLR 2023): noise that mixes the classes in a robust network's features.

Differences from the authors' released code: every step draws flips and crops, as the victim does, where they resample
images with shifts by fractions of a pixel; the noise starts from a uniform draw, theirs from a clipped normal one; and
the image's own class is never the one that it is pulled to, where they give it the distance 1, which others may exceed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute.augment import draw, evaluation
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.features import feature_gradient, features
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import ascend, uniform, within_pixels
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.entf.settings import Entf
from unlearnable.noises.method import Batch, Problem

BATCH = 256  # images whose features are computed together for the means


@dataclass(frozen=True)
class Reference:
    """The source model and the mean features of each class.

    Attributes:
        network: trained adversarially on clean images.
        means: ``(classes, F)``.
    """

    network: FrozenNetwork
    means: Tensor


def basis(network: FrozenNetwork, train: Split, problem: Problem[Entf], seed: int, device: torch.device) -> Reference:
    """The mean features of each class's clean images, as a victim sees them in a test.

    Raises:
        UserError: a class has no image.
    """
    counts = np.bincount(train.labels, minlength=problem.classes)
    if not counts.all():
        raise UserError(
            f"method entf: class {train.classes[int(counts.argmin())]} has no training image, so no mean features"
        )
    view, rows = evaluation(problem.augmentation), np.arange(len(train.labels))
    sums = torch.zeros((), dtype=torch.float64, device=device)
    for x, y, _ in Feed(train, device).batches(rows[at : at + BATCH] for at in range(0, len(rows), BATCH)):
        found = features(network, view(x.float())).double()
        sums = sums + F.one_hot(y, problem.classes).to(found).T @ found
    return Reference(network, sums / torch.from_numpy(counts).to(device)[:, None])


def noise_passes(problem: Problem[Entf]) -> int:
    """Forward+backward passes over a batch to compute its noise; the means take forward passes only."""
    return problem.settings.steps


def training_passes(problem: Problem[Entf]) -> int:
    """Forward+backward passes of a source-training step before its update: the adversary's."""
    return problem.settings.k_a if problem.rho_a else 0


def training_inputs(network: FrozenNetwork, batch: Batch[Entf]) -> tuple[Tensor, Tensor]:
    """The source model's input at one step: augmented clean images under attack; and no noise in them."""
    images, draws, problem, s = batch.images, batch.draws, batch.problem, batch.problem.settings
    z = draw(problem.augmentation, images, draws)(images)
    start = uniform(z, problem.rho_a, draws)
    e = ascend(network, z, batch.labels, problem.rho_a, s.k_a, s.alpha_a, start)
    return z + e, torch.zeros_like(images)


def noise(reference: Reference, batch: Batch[Entf]) -> Tensor:
    """Push each image's features from the mean of its class, or pull them to that of the nearest other class.

    Every step draws a fresh transform and clips to valid pixels.

    Args:
        reference: from ``basis``.
        batch: the images.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    images, draws, problem = batch.images, batch.draws, batch.problem
    s, rho_u = problem.settings, problem.rho_u
    loss = _loss(reference.means, batch)
    d = within_pixels(uniform(images, rho_u, draws), images)
    for _ in range(s.steps):
        t = draw(problem.augmentation, images, draws)
        g = t.pull_back(feature_gradient(reference.network, t(images + d), loss))
        d = within_pixels((d - s.alpha * rho_u * g.sign()).clamp(-rho_u, rho_u), images)
    return d.round()


def _loss(means: Tensor, batch: Batch[Entf]) -> Callable[[Tensor], Tensor]:
    """The squared distance of features ``(B, F)`` to the mean of another class, or minus that to their own's."""
    labels = batch.labels

    def push(found: Tensor) -> Tensor:
        return -(found - means[labels].to(found.dtype)).square().sum()

    def pull(found: Tensor) -> Tensor:
        distances = torch.cdist(found.detach().double(), means, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distances.scatter(1, labels[:, None], torch.inf).argmin(1)
        return (found - means[nearest].to(found.dtype)).square().sum()

    return push if batch.problem.settings.direction == "push" else pull
