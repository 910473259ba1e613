"""Perturbation-induced linearization, PIL (ICLR 2026): noise from a linear model of the clean images.

Differences from the authors' released code: everything is computed in double precision, so that the sign of a gradient
does not depend on the batch, and the noise is rounded to whole grey levels. ``clip: pixels`` is not theirs.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute.device_batches import Feed
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import within_pixels
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.descent import start_of
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.pil.settings import Pil
from unlearnable.randomness import generator, numpy_generator
from unlearnable.training.sgd import Sgd

BATCH = 512  # images per update of the linear model; this and the momentum as in the authors' code
MOMENTUM = 0.9


def basis(
    network: FrozenNetwork | None, train: Split, problem: Problem[Pil], seed: int, device: torch.device
) -> Tensor:
    """Train the linear model by SGD on the clean images, as they are.

    As in the authors' code it has two layers without biases and without an activation between them, as wide as there
    are classes, so that it learns as such a network does; only their product counts afterwards.

    Args:
        network: none.
        train: all clean training images.
        problem: the noise to compute.
        seed: of the initial weights and of the order of the images.
        device: where to compute.

    Returns:
        The logits' weights, ``(classes, C * H * W)`` float64, for pixels in [0, 1].

    Raises:
        UserError: the training diverges.
    """
    feed, s = Feed(train, device), problem.settings
    values, draws = math.prod(feed.shape), generator(seed, "pil", "weights", device=device)

    def layer(outputs: int, inputs: int) -> Tensor:
        weights = torch.empty(outputs, inputs, dtype=torch.float64, device=device)
        return weights.uniform_(-(inputs**-0.5), inputs**-0.5, generator=draws).requires_grad_()

    layers = [layer(problem.classes, values), layer(problem.classes, problem.classes)]
    sgd = Sgd(layers, MOMENTUM, weight_decay=0.0)
    for epoch in range(s.epochs):
        lr = s.lr * (1 + math.cos(math.pi * epoch / s.epochs)) / 2
        order = numpy_generator(seed, "pil", "order", epoch).permutation(len(feed))
        for x, y, _ in feed.batches(order[at : at + BATCH] for at in range(0, len(order), BATCH)):
            learn(layers, sgd, flat(x), y, lr)
    inner, outer = (each.detach() for each in layers)
    weights = outer @ inner
    if not weights.isfinite().all():
        raise UserError("method pil: the training of the linear model diverges; lower lr")
    return weights


def learn(layers: list[Tensor], sgd: Sgd, pixels: Tensor, labels: Tensor, lr: float) -> None:
    """One update of the linear model.

    Args:
        layers: of the model, the first one first.
        sgd: their optimiser.
        pixels: ``(B, C * H * W)`` float64, in [0, 1].
        labels: ``(B,)`` int64.
        lr: learning rate.
    """
    with torch.enable_grad():
        loss = F.cross_entropy(pixels @ layers[0].T @ layers[1].T, labels)
        sgd.forget_gradients()
        loss.backward()  # type: ignore[no-untyped-call]
    sgd.step(lr)


def noise(weights: Tensor, batch: Batch[Pil]) -> Tensor:
    """Let the noise show the label, and the protected image nothing, to the linear model.

    Args:
        weights: from ``basis``.
        batch: the images.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    images, labels, rho_u, s = batch.images, batch.labels, batch.problem.rho_u, batch.problem.settings
    d = start_of(batch)
    for _ in range(s.k_u):
        g = gradient(weights, flat(images), flat(d), labels, s.label_weight).view_as(d)
        d = (d - s.alpha_u * rho_u * g.sign().to(d.dtype)).clamp(-rho_u, rho_u)
        if s.clip == "pixels":
            d = within_pixels(d, images)
    return d.round()


def gradient(weights: Tensor, images: Tensor, d: Tensor, labels: Tensor, label_weight: float) -> Tensor:
    """The gradient of the noise's loss by the noise, in closed form.

    With logits ``W x`` and the uniform distribution u, the loss of an image x with the noise d is
    ``w CE(W (-d), y) + (1 - w) KL(u || softmax(W (x + d)))``. The noise is published as it is, so it is minus the
    perturbation of the paper, which is subtracted from the image.

    Args:
        weights: W, ``(classes, D)``.
        images: ``(B, D)``, in [0, 1].
        d: ``(B, D)``, in the same unit.
        labels: ``(B,)`` int64.
        label_weight: w.

    Returns:
        ``(B, D)``.
    """
    shown = F.softmax(-d @ weights.T, dim=1) - F.one_hot(labels, len(weights))
    hidden = F.softmax((images + d) @ weights.T, dim=1) - 1 / len(weights)
    return ((1 - label_weight) * hidden - label_weight * shown) @ weights


def flat(images: Tensor) -> Tensor:
    """Grey levels ``(B, C, H, W)`` as vectors ``(B, C * H * W)`` in [0, 1], float64."""
    return images.to(torch.float64).flatten(1) / 255
