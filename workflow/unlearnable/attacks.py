"""Gradients through a frozen network, and projected gradient ascent (Madry et al. 2018) on its inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.device import autocast
from unlearnable.layers import folding


class FrozenNetwork:
    """A network in eval mode whose parameters take no gradient; counts its passes.

    Attributes:
        passes: forward+backward passes over one batch so far.
    """

    def __init__(self, network: nn.Module, precision: torch.dtype) -> None:
        self.network = network
        self.precision = precision
        self.passes = 0

    def gradient(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """The gradient of the summed cross-entropy by the pixels.

        Args:
            pixels: ``(B, C, H, W)``, float in [0, 255].
            labels: ``(B,)`` int64.
        """
        self.passes += 1
        with torch.enable_grad():
            pixels = pixels.detach().requires_grad_()
            with autocast(pixels.device, self.precision):
                logits = self.network(pixels)
            loss = F.cross_entropy(logits.float(), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, pixels)
        return gradient

    def losses(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy of each image, ``(B,)``."""
        with torch.no_grad(), autocast(pixels.device, self.precision):
            logits = self.network(pixels)
        return F.cross_entropy(logits.float(), labels, reduction="none")


@contextmanager
def frozen(network: nn.Module, precision: torch.dtype) -> Iterator[FrozenNetwork]:
    """Put ``network`` into eval mode without parameter gradients for the duration."""
    training = network.training
    learned = [p for p in network.parameters() if p.requires_grad]
    network.eval()
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        with folding(network, precision):
            yield FrozenNetwork(network, precision)
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
        network.train(training)


def uniform(like: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """A uniform draw in the L-infinity box of ``radius`` (1/255), of the shape of ``like``."""
    return torch.empty_like(like).uniform_(-radius, radius, generator=generator)


def within_pixels(perturbation: Tensor, pixels: Tensor) -> Tensor:
    """``perturbation`` clipped so that ``pixels + perturbation`` stays in [0, 255]."""
    return torch.minimum(torch.maximum(perturbation, -pixels), 255 - pixels)


def ascend(
    network: FrozenNetwork,
    pixels: Tensor,
    labels: Tensor,
    radius: float,
    steps: int,
    alpha: float,
    generator: torch.Generator,
) -> Tensor:
    """The adversary's perturbation e: ``steps`` signed ascent steps on the loss from a uniform random start.

    Args:
        network: the attacked network.
        pixels: ``(B, C, H, W)``, float in [0, 255].
        labels: ``(B,)`` int64.
        radius: of the L-infinity box, in units of 1/255.
        steps: number of steps; 0 leaves the random start.
        alpha: step size as a share of ``radius``.
        generator: source of the random start.

    Returns:
        e with ``|e| <= radius`` and ``pixels + e`` in [0, 255].
    """
    e = within_pixels(uniform(pixels, radius, generator), pixels)
    for _ in range(steps):
        e = e + alpha * radius * network.gradient(pixels + e, labels).sign()
        e = within_pixels(e.clamp(-radius, radius), pixels)
    return e
