"""No noise: standard training on clean data, which is also TAP's source model."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.attacks import FrozenNetwork
from unlearnable.descent import Problem
from unlearnable.settings.methods.clean import Clean as Settings
from unlearnable.transforms import draw

__all__ = ["Settings", "training_inputs"]


def training_inputs(
    network: FrozenNetwork, images: Tensor, labels: Tensor, problem: Problem, generator: torch.Generator
) -> Tensor:
    """What the source model learns from at one step: the augmented images."""
    return draw(problem.augmentation, len(images), generator)(images)
