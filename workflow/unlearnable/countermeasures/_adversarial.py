"""Shared by TRADES and MART."""

from __future__ import annotations

import torch
from torch import Tensor

STEP = 0.255  # standard deviation of the attack's start in grey levels: 0.001 of the range, as in both authors' code


def small_gaussian(pixels: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """The attack's start: Gaussian noise of a quarter of a grey level, within ``radius`` (1/255)."""
    return (STEP * torch.empty_like(pixels).normal_(generator=generator)).clamp(-radius, radius)


def divergence(clean: Tensor, attacked: Tensor) -> Tensor:
    """KL(softmax(clean) || softmax(attacked)) of each image, ``(B,)``, from logits ``(B, classes)``."""
    p, q = clean.log_softmax(1), attacked.log_softmax(1)
    return (p.exp() * (p - q)).sum(1)
