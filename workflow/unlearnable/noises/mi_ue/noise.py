"""Mutual-information unlearnable examples, MI-UE (ICLR 2026): noise that gives the images of a class one direction in
feature space, and each class its own.

Source training follows the paper: the noises of a batch descend together on a loss that joins its images, then the
model takes a step on the images with them. But the authors publish the noise that such a training carries along, while
here every image gets a new noise from the finished model. So that it does not depend on its batch, it is fitted to a
fixed set of companions, whose noises are made together first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute.features import feature_gradient, features
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Split, stratified_order
from unlearnable.errors import UserError
from unlearnable.noises.descent import minimise
from unlearnable.noises.method import Batch, Problem, augmented
from unlearnable.noises.mi_ue.settings import MiUe
from unlearnable.randomness import generator, numpy_generator


@dataclass(frozen=True)
class Companions:
    """Images that carry noise, to whose features those of others are fitted.

    Attributes:
        network: the source model.
        features: of the images with their noises, ``(M, F)``.
        labels: ``(M,)`` int64.
    """

    network: FrozenNetwork
    features: Tensor
    labels: Tensor


def basis(network: FrozenNetwork, train: Split, problem: Problem[MiUe], seed: int, device: torch.device) -> Companions:
    """Draw ``companions`` training images, balanced by class and of every class, and make their noises together.

    Raises:
        UserError: there are more classes than companions.
    """
    height, width, channels = train.images.shape[1:]
    if (misfit := problem.settings.misfit((height, width, channels), problem.classes)) is not None:
        raise UserError(f"methods, algorithm mi-ue, key {misfit[0]}: {misfit[1]}")
    order = stratified_order(train.labels, numpy_generator(seed, "mi-ue", "companions"))
    _, first = np.unique(train.labels[order], return_index=True)  # one of each class, however rare
    rows = np.sort(np.concatenate([order[first], np.delete(order, first)])[: problem.settings.companions])
    images = torch.from_numpy(train.images[rows]).permute(0, 3, 1, 2).float().to(device)
    labels = torch.from_numpy(train.labels[rows]).to(device)
    batch = Batch(images, labels, problem, generator(seed, "mi-ue", "start", device=device))
    protected = (images + together(network, batch)).clamp(0, 255)
    return Companions(network, features(network, protected), labels)


def noise_passes(problem: Problem[MiUe]) -> int:
    """Forward+backward passes over a batch to compute its noise; those of the companions are left out."""
    return problem.settings.k_u


def training_inputs(network: FrozenNetwork, batch: Batch[MiUe]) -> tuple[Tensor, Tensor]:
    """The source model's input at one step: protected images, augmented as by a victim; and the noise in them."""
    d = together(network, batch)
    return augmented(batch, d), d


def together(network: FrozenNetwork, batch: Batch[MiUe]) -> Tensor:
    """Noises that descend together on the loss that joins the images of a batch: ``(B, C, H, W)``, whole numbers."""
    return _descend(network, batch, lambda g: joint_loss(g, batch.labels, g, batch.labels, batch.problem.settings))


def noise(companions: Companions, batch: Batch[MiUe]) -> Tensor:
    """Fit each image's features to those of the companions, of its class and of others.

    Args:
        companions: from ``basis``.
        batch: the images.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """

    def loss(g: Tensor) -> Tensor:
        others = companions.features.to(g.dtype)
        return joint_loss(g, batch.labels, others, companions.labels, batch.problem.settings)

    return _descend(companions.network, batch, loss)


def joint_loss(g: Tensor, labels: Tensor, others: Tensor, of_others: Tensor, settings: MiUe) -> Tensor:
    """The summed loss of features against those of other images, or of the same ones.

    For an image i, with sums over the images j of its class and over all k, its share is::

        -log(sum_j exp(cos(g_i, g_j) / t) / sum_k exp(cos(g_i, g_k) / t)) + w * log(1 + sum_j |g_i - g_j| / F)

    An image counts among its own class's.

    Args:
        g: ``(B, F)``.
        labels: ``(B,)`` int64.
        others: ``(M, F)``.
        of_others: their labels, ``(M,)`` int64.
        settings: the temperature t and the weight w.
    """
    same = labels[:, None] == of_others
    cosines = F.normalize(g) @ F.normalize(others).T / settings.temperature
    loss = cosines.logsumexp(1) - cosines.masked_fill(~same, -torch.inf).logsumexp(1)
    if settings.distance_weight:
        distances = torch.cdist(g, others, compute_mode="donot_use_mm_for_euclid_dist")
        loss = loss + settings.distance_weight * (distances * same).sum(1).div(g.shape[1]).log1p()
    return loss.sum()


def _descend(network: FrozenNetwork, batch: Batch[MiUe], loss: Callable[[Tensor], Tensor]) -> Tensor:
    return minimise(batch, lambda x: feature_gradient(network, x, loss)).round()
