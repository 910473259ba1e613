"""Neural tangent generalization attack, NTGA (Yuan and Wu, ICML 2021): noise from a kernel, without a source model.

Differences from the authors' released code: by default the kernel's activation is ReLU and its readout linear (theirs
ends in the fifth error function: ``activation: erf``, ``readout: none``); the held-out images are fewer, and part of
the training set; the last block may be smaller, where theirs is left out; no multiple of the identity is added to the
kernel, which is only needed to invert it; and every step continues from the last one, where each of their ten steps
starts at the clean image and so amounts to a single step of rho_u.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import within_pixels
from unlearnable.datasets.split import Split, stratified_order
from unlearnable.errors import UserError
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.ntga.kernel import WideNetwork, trained
from unlearnable.noises.ntga.settings import Ntga
from unlearnable.randomness import numpy_generator

DEPTH = 5  # this and the variances as in the authors' code
WEIGHT_VARIANCE = 1.76
BIAS_VARIANCE = 0.18
PIECE = 512  # held-out images whose kernel is in memory at once


@dataclass(frozen=True)
class HeldOut:
    """Images that a network trained on the protected images should misclassify.

    Attributes:
        pixels: ``(M, D)``, float64 in [0, 1].
        labels: ``(M,)``, int64.
    """

    pixels: Tensor
    labels: Tensor


def basis(
    network: FrozenNetwork | None, train: Split, problem: Problem[Ntga], seed: int, device: torch.device
) -> HeldOut:
    """Draw ``held_out`` training images, or all if there are fewer, with the class proportions of the training set.

    The authors set 10,000 images aside for this and protect the others. Here all images are to be protected, so the
    images held out for one block belong to other blocks. The few that are in the block itself are kept; for them the
    loss is a training loss.

    Raises:
        UserError: there are more classes than held-out images.
    """
    height, width, channels = train.images.shape[1:]
    if (misfit := problem.settings.misfit((height, width, channels), problem.classes)) is not None:
        raise UserError(f"methods, algorithm ntga, key {misfit[0]}: {misfit[1]}")
    rows = stratified_order(train.labels, numpy_generator(seed, "ntga", "held out"))[: problem.settings.held_out]
    rows.sort()  # read files in order
    images = torch.from_numpy(train.images[rows]).permute(0, 3, 1, 2).to(device)
    return HeldOut(_flat(images), torch.from_numpy(train.labels[rows]).to(device))


def noise(held_out: HeldOut, batch: Batch[Ntga]) -> Tensor:
    """Ascend on the held-out loss of a network trained on the block of images.

    The batch is the block, so, unlike other noises, an image's noise depends on its batch. It starts from zero and uses
    no random draws.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u`` and ``images + d`` in [0, 255].

    Raises:
        UserError: a gradient is not finite.
    """
    images, problem, s, rho_u = batch.images, batch.problem, batch.problem.settings, batch.problem.rho_u
    d = torch.zeros_like(images)
    for _ in range(s.steps):
        g = held_out_gradient(images + d, batch.labels, held_out, problem)
        if not g.isfinite().all():
            raise UserError("method ntga: the gradient of the held-out loss is not finite; lower t or steps")
        d = within_pixels((d + s.alpha * rho_u * g.sign()).clamp(-rho_u, rho_u), images)
    return d.round()


def held_out_gradient(images: Tensor, labels: Tensor, held_out: HeldOut, problem: Problem[Ntga]) -> Tensor:
    """The gradient of the summed held-out cross-entropy, after training on a block, with respect to the block's pixels.

    The wide network is trained on one-hot labels for a time ``t`` at a rate of 1. The squared error is half its mean
    over all ``B * classes`` outputs, as in neural-tangents' ``gradient_descent_mse``, which the authors use: hence
    ``t / (B * classes)`` in the exponent. Its outputs are used as logits.

    Args:
        images: the block, ``(B, C, H, W)``, in [0, 255].
        labels: ``(B,)``, int64.
        held_out: images on which the loss is measured.
        problem: its settings give ``t``, the activation and the readout.

    Returns:
        Of the shape and type of ``images``.
    """
    s = problem.settings
    wide = WideNetwork(DEPTH, WEIGHT_VARIANCE, BIAS_VARIANCE, s.activation, s.readout)
    with torch.enable_grad():
        x = _flat(images.detach()).requires_grad_()
        y = F.one_hot(labels, problem.classes).to(x.dtype)
        weights = trained(wide.kernels(x, x)[1], y, s.t / y.numel())
        fixed = weights.detach().requires_grad_()  # so that every piece's graph is freed before the next is built
        gradient, by_weights = torch.zeros_like(x), torch.zeros_like(fixed)
        pieces = zip(torch.split(held_out.pixels, PIECE), torch.split(held_out.labels, PIECE), strict=True)
        for pixels, targets in pieces:
            logits = wide.kernels(pixels, x)[1] @ fixed
            loss = F.cross_entropy(logits, targets, reduction="sum")
            by_kernel, through_weights = torch.autograd.grad(loss, (x, fixed))
            gradient += by_kernel
            by_weights += through_weights
        gradient += torch.autograd.grad(weights, x, by_weights)[0]
    return (gradient / 255).reshape(images.shape).to(images.dtype)


def _flat(images: Tensor) -> Tensor:
    """Images in [0, 255] as float64 vectors in [0, 1], as the authors' kernel takes them."""
    return images.to(torch.float64).flatten(1) / 255
