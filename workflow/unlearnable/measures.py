"""What is measured on a trained network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unlearnable.attacks import ascend, frozen, uniform
from unlearnable.device import autocast
from unlearnable.randomness import generator

BATCH = 250


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, precision: torch.dtype) -> float:
    """The share of ``images`` (``(N, C, H, W)`` uint8) that the network, in eval mode, classifies as ``labels``."""
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    with frozen(network, precision), torch.no_grad():
        for x, y in zip(torch.split(images, BATCH), torch.split(labels, BATCH), strict=True):
            with autocast(x.device, precision):
                correct += (network(x.float()).argmax(1) == y).sum()
    return int(correct) / len(labels)


def robust_accuracy(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    radius: float,
    steps: int,
    precision: torch.dtype,
    seed: int,
) -> tuple[float, int]:
    """The accuracy under PGD of ``steps`` steps of radius/5 (1/255) from one random start, and its passes."""
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    with frozen(network, precision) as fixed:
        for index, (x, y) in enumerate(zip(torch.split(images, BATCH), torch.split(labels, BATCH), strict=True)):
            draws = generator(seed, "robust accuracy", index, device=x.device)
            attacked = x.float() + ascend(fixed, x.float(), y, radius, steps, 0.2, uniform(x.float(), radius, draws))
            with torch.no_grad(), autocast(x.device, precision):
                correct += (network(attacked).argmax(1) == y).sum()
        return int(correct) / len(labels), math.ceil(fixed.images / BATCH)
