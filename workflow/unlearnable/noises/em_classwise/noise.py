"""Class-wise error-minimizing noise (Huang et al. 2021): one noise for all images of a class."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute.device_batches import Feed
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import uniform
from unlearnable.datasets.split import Chosen, Split, stratified_order
from unlearnable.noises.descent import minimise
from unlearnable.noises.em_classwise.settings import EmClasswise
from unlearnable.noises.method import Batch, Descent, Problem, augmented
from unlearnable.randomness import generator as generator_of
from unlearnable.randomness import numpy_generator

BATCH = 128  # images per update of the classes' noises


def noise_passes(problem: Problem[EmClasswise]) -> int:
    """Forward+backward passes for each batch of all images, rounded up; all of them are for the basis."""
    s = problem.settings
    return math.ceil(s.k_u * s.rounds * s.share)


def training_passes(problem: Problem[EmClasswise]) -> int:
    """Forward+backward passes of a source-training step before its update."""
    return problem.settings.k_u


def basis(
    network: FrozenNetwork, train: Split, problem: Problem[EmClasswise], seed: int, device: torch.device
) -> Tensor:
    """The noise of each class: a uniform draw, updated as in source training but with the finished source model.

    The updates run ``rounds`` times over a class-balanced share of the training images, in batches. If a class is too
    small to be in the share, its noise stays as drawn.

    Returns:
        ``(classes, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    s = problem.settings
    order = stratified_order(train.labels, numpy_generator(seed, "em-classwise", "share"))
    rows = order[: shared_rows(s, problem.classes, len(train.labels))]
    feed = Feed(Split(Chosen(train.images, rows), train.labels[rows], train.classes), device)
    draws = generator_of(seed, "em-classwise", "start", device=device)
    noises = _start(problem, feed.shape, draws)
    for index in range(s.rounds):
        order = numpy_generator(seed, "em-classwise", "order", index).permutation(len(feed))
        for x, y, _ in feed.batches(order[at : at + BATCH] for at in range(0, len(order), BATCH)):
            noises = updated(network, Batch(x.float(), y, problem, draws), noises)
    return noises.round()


def shared_rows(settings: EmClasswise, classes: int, rows: int) -> int:
    """How many of ``rows`` training images are used to compute the classes' noises."""
    return min(rows, max(classes, round(settings.share * rows)))


def noise(noises: Tensor, batch: Batch[EmClasswise]) -> Tensor:
    """The noise of each image's class.

    Args:
        noises: of each class, from ``basis``.
        batch: the images; nothing is drawn.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    return noises[batch.labels].to(batch.images.dtype)


def descent(batch: Batch[EmClasswise], seed: int) -> Descent:
    """The loss of images as they are, with the first noise of their class."""
    images = batch.images
    draws = generator_of(seed, "em-classwise", "start", device=images.device)
    start = _start(batch.problem, images.shape[1:], draws)[batch.labels]
    return Descent(start, lambda d: (images + d).clamp(0, 255), batch.labels)


def _start(problem: Problem[EmClasswise], shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
    """A uniform draw for each class."""
    return uniform(torch.empty(problem.classes, *shape, device=draws.device), problem.rho_u, draws)


def training_inputs(network: FrozenNetwork, batch: Batch[EmClasswise]) -> tuple[Tensor, Tensor]:
    """The source model's input at one step, and the noise of each image's class after the step.

    The class noises are updated once. The images carry them rounded, as in a protected dataset, and are augmented.

    Args:
        network: the source model.
        batch: its ``start`` is the noise of each image's class before the step; None to draw one for each class.
    """
    images, labels, problem = batch.images, batch.labels, batch.problem
    every = images.new_zeros(problem.classes, *images.shape[1:])
    if batch.start is None:
        every = uniform(every, problem.rho_u, batch.draws)
    else:
        every[labels] = batch.start  # images of one class have the same noise
    d = updated(network, batch, every)[labels]
    return augmented(batch, d.round()), d


def updated(network: FrozenNetwork, batch: Batch[EmClasswise], noises: Tensor) -> Tensor:
    """The classes' noises ``(classes, C, H, W)`` after a batch.

    Each image's copy of its class's noise descends on the image's loss; the new noise of a class is the mean over its
    images' copies. Classes that are not in the batch keep their noise.
    """
    labels, rho_u = batch.labels, batch.problem.rho_u
    d = minimise(replace(batch, start=noises[labels]), lambda x: network.gradient(x, labels))
    members = F.one_hot(labels, len(noises)).to(d.dtype)
    counts = members.sum(0)[:, None, None, None]
    means = (members.T @ d.flatten(1)).view_as(noises) / counts.clamp(min=1)
    return torch.where(counts > 0, means.clamp(-rho_u, rho_u), noises)
