"""A uniform draw for every image: what a change of this size does that knows neither image nor class."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.compute.draws import by_rows
from unlearnable.noises.method import Batch
from unlearnable.noises.random.settings import Random


def noise(basis: object, batch: Batch[Random]) -> Tensor:
    """Whole numbers, each value between -rho_u and rho_u equally likely: ``(B, C, H, W)``."""
    images, rho_u = batch.images, batch.problem.rho_u

    def draw(rows: int, g: torch.Generator) -> Tensor:
        return torch.randint(-rho_u, rho_u + 1, (rows, *images.shape[1:]), generator=g, device=images.device)

    return by_rows(len(images), batch.draws, draw).to(images.dtype)
