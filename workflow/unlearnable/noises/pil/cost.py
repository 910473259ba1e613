"""The cost of perturbation-induced linearization: products of matrices, no passes through a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from unlearnable.noises.cost import Shard
from unlearnable.noises.pil.noise import BATCH, MOMENTUM, gradient, learn
from unlearnable.noises.pil.settings import Pil
from unlearnable.training.sgd import Sgd
from unlearnable.training.work import Amount, Kind, Once


@dataclass(frozen=True)
class LinearWork(Kind):
    """One step on a batch of images.

    Attributes:
        work: ``learn``: an update of the linear model; ``descend``: a step of the noise.
        values: of an image.
        classes: number of classes.
        batch: number of images in a batch.
    """

    work: Literal["learn", "descend"]
    values: int
    classes: int
    batch: int

    @contextmanager
    def prepared(self, device: torch.device) -> Iterator[Once]:
        """A model and a batch of random images."""
        images = torch.rand(self.batch, self.values, dtype=torch.float64, device=device)
        labels = torch.arange(self.batch, device=device) % self.classes
        inner, outer = (
            torch.rand(self.classes, inputs, dtype=torch.float64, device=device)
            for inputs in (self.values, self.classes)
        )
        if self.work == "descend":
            yield lambda count: gradient(inner, images[:count], images[:count], labels[:count], 0.9)
            return
        layers = [inner.requires_grad_(), outer.requires_grad_()]
        sgd = Sgd(layers, MOMENTUM, weight_decay=0.0)
        yield lambda count: learn(layers, sgd, images[:count], labels[:count], 0.0)


def of_noise(shard: Shard[Pil]) -> list[Amount]:
    """Every shard trains the linear model."""
    s, classes, values = shard.problem.settings, shard.problem.classes, shard.shape[0] * shard.shape[1] * shard.shape[2]
    return [
        Amount(LinearWork("learn", values, classes, min(BATCH, shard.all_rows)), s.epochs * shard.all_rows),
        Amount(LinearWork("descend", values, classes, min(shard.batch_size, shard.rows)), s.k_u * shard.rows),
    ]
