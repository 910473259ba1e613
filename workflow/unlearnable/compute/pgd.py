"""Projected gradient ascent (Madry et al. 2018) on the inputs of a frozen network."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.compute.draws import Draws, by_rows
from unlearnable.compute.frozen import FrozenNetwork


def uniform(like: Tensor, radius: float, generator: Draws) -> Tensor:
    """A uniform draw in the L-infinity box of ``radius`` (1/255), of the shape of ``like``."""

    def draw(rows: int, g: torch.Generator) -> Tensor:
        return like.new_empty((rows, *like.shape[1:])).uniform_(-radius, radius, generator=g)

    return by_rows(len(like), generator, draw)


def within_pixels(perturbation: Tensor, pixels: Tensor) -> Tensor:
    """``perturbation`` clipped so that ``pixels + perturbation`` stays in [0, 255]."""
    return torch.minimum(torch.maximum(perturbation, -pixels), 255 - pixels)


def ascend(
    network: FrozenNetwork,
    pixels: Tensor,
    targets: Tensor,
    radius: float,
    steps: int,
    alpha: float,
    start: Tensor,
) -> Tensor:
    """The adversary's perturbation e: ``steps`` signed ascent steps on the loss.

    Args:
        network: the attacked network.
        pixels: ``(B, C, H, W)``, float in [0, 255].
        targets: ``(B,)`` int64 labels, or ``(B, classes)`` probabilities.
        radius: of the L-infinity box, in units of 1/255; 0 returns the start without a pass.
        steps: number of steps; 0 returns the start.
        alpha: step size as a share of ``radius``.
        start: initial e, such as a ``uniform`` draw; within ``radius``.

    Returns:
        e with ``|e| <= radius`` and ``pixels + e`` in [0, 255].
    """
    e = within_pixels(start, pixels)
    for _ in range(steps if radius else 0):
        e = e + alpha * radius * network.gradient(pixels + e, targets).sign()
        e = within_pixels(e.clamp(-radius, radius), pixels)
    return e
