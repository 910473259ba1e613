"""Shared by mixup and CutMix."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.randomness import numpy_generator


def numpy_draws(generator: torch.Generator) -> np.random.Generator:
    """A NumPy generator seeded by one draw: torch's Beta distribution does not accept a generator."""
    seed = torch.randint(2**63 - 1, (), generator=generator, device=generator.device)
    return numpy_generator(int(seed), "mixing")


def mixed(labels: Tensor, partners: Tensor, share: float, classes: int) -> Tensor:
    """Probabilities ``(B, classes)``: ``share`` of each image's own label, and the rest of its partner's.

    Args:
        labels: ``(B,)`` int64.
        partners: ``(B,)`` int64, the row of the other image in each mixture.
        share: in [0, 1].
        classes: number of classes.
    """
    own = F.one_hot(labels, classes).float()
    return torch.lerp(own[partners], own, share)
