"""No noise; standard training on clean data is also TAP's source model."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.noises.clean.settings import Clean
from unlearnable.noises.method import Batch


def noise(basis: object, batch: Batch[Clean]) -> Tensor:
    """Zeros."""
    return torch.zeros_like(batch.images)
