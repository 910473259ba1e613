"""Gradients through a frozen network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.compute.device import autocast
from unlearnable.networks.folding import folding


class FrozenNetwork:
    """A network in eval mode whose parameters get no gradient; counts the images that pass forward and backward.

    Attributes:
        images: number of images whose gradients have been computed so far.
        total: the sum of all gradients so far; not finite once one of them was not.
    """

    def __init__(
        self,
        network: nn.Module,
        precision: torch.dtype,
        micro_batch: int | None = None,
        compiled: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.network = network
        self.precision = precision
        self.micro_batch = micro_batch
        self.compiled = compiled
        self.images = 0
        self.total: Tensor | float = 0.0

    def gradient(self, pixels: Tensor, targets: Tensor) -> Tensor:
        """The gradient of the summed cross-entropy by the pixels.

        More images than a micro-batch are passed through the network in equal parts. In eval mode images do not
        influence one another, so splitting them only affects memory.

        Args:
            pixels: ``(B, C, H, W)``, float in [0, 255].
            targets: ``(B,)`` int64 labels, or ``(B, classes)`` probabilities.
        """
        self.images += len(pixels)
        parts = self._parts(pixels)
        if parts == 1:
            gradient = self._gradient(pixels, targets)
        else:
            shares = zip(pixels.tensor_split(parts), targets.tensor_split(parts), strict=True)
            gradient = torch.cat([self._gradient(x, y) for x, y in shares])
        self.total = self.total + gradient.sum()
        return gradient

    def _parts(self, pixels: Tensor) -> int:
        return math.ceil(len(pixels) / self.micro_batch) if self.micro_batch else 1

    def _gradient(self, pixels: Tensor, targets: Tensor) -> Tensor:
        with torch.enable_grad():
            pixels = pixels.detach().requires_grad_()
            with autocast(pixels.device, self.precision):
                logits = (self.compiled or self.network)(pixels)
            loss = F.cross_entropy(logits.float(), targets, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, pixels)
        return gradient if self.compiled is None else gradient.clone()  # the next call may overwrite it

    def logits(self, pixels: Tensor) -> Tensor:
        """The logits of pixels ``(B, C, H, W)`` in [0, 255], ``(B, classes)`` float32, without a gradient."""
        with torch.no_grad(), autocast(pixels.device, self.precision):
            return torch.cat([self.network(part) for part in pixels.tensor_split(self._parts(pixels))]).float()

    def losses(self, pixels: Tensor, targets: Tensor) -> Tensor:
        """The cross-entropy of each image, ``(B,)``; arguments as for ``gradient``."""
        return F.cross_entropy(self.logits(pixels), targets, reduction="none")


@contextmanager
def frozen(
    network: nn.Module,
    precision: torch.dtype,
    micro_batch: int | None = None,
    compiled: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[FrozenNetwork]:
    """Put ``network`` into eval mode without parameter gradients for the duration.

    Args:
        network: the network.
        precision: of its convolutions.
        micro_batch: largest number of images that pass through it at once; None for all.
        compiled: its compiled forward pass in eval mode, used for gradients.
    """
    training = network.training
    learned = [p for p in network.parameters() if p.requires_grad]
    network.eval()
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        with folding(network, precision):
            yield FrozenNetwork(network, precision, micro_batch, compiled)
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
        network.train(training)
