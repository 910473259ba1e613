"""The cost of the neural tangent generalization attack."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.cost import Shard
from unlearnable.noises.method import Problem
from unlearnable.noises.ntga.noise import HeldOut, held_out_gradient
from unlearnable.noises.ntga.settings import Ntga
from unlearnable.training.work import Amount, Kind, Once

BLOCK_VALUES = 2**22  # in the images of a block and of those held out; larger images are timed cropped


@dataclass(frozen=True)
class KernelWork(Kind):
    """One step on one block of images.

    Attributes:
        shape: of one image, ``(C, H, W)``.
        classes: number of classes.
        batch: images in a block.
        held_out: images on which the loss is measured.
        activation: of the wide network.
    """

    shape: tuple[int, ...]
    classes: int
    batch: int
    held_out: int
    activation: Literal["relu", "erf"]

    @property
    def fewest(self) -> int:
        """A whole block, because the time is not proportional to its images."""
        return self.batch

    @property
    def scale(self) -> float:
        """The ratio of an image's size to that of the part timed, to which the time is proportional."""
        return math.prod(self.shape) / self._values()

    def _values(self) -> int:
        """Number of values of an image that are timed."""
        return min(math.prod(self.shape), BLOCK_VALUES // (self.batch + self.held_out))

    @contextmanager
    def prepared(self, device: torch.device) -> Iterator[Once]:
        """A block of random images."""
        settings = Ntga(algorithm="ntga", held_out=self.held_out, activation=self.activation)
        problem = Problem(settings, rho_u=8, rho_a=0, augmentation=Augmentation(), classes=self.classes)
        images = 255 * torch.rand(self.batch, 1, 1, self._values(), device=device)
        pixels = torch.rand(self.held_out, self._values(), dtype=torch.float64, device=device)
        labels = torch.arange(self.batch + self.held_out, device=device) % self.classes
        held_out = HeldOut(pixels, labels[self.batch :])

        def step(count: int) -> Tensor:
            return held_out_gradient(images[:count], labels[:count], held_out, problem)

        yield step


def of_noise(shard: Shard[Ntga]) -> list[Amount]:
    """Steps of the kernel; no passes through a network."""
    s = shard.problem.settings
    block = min(shard.batch_size, shard.rows), min(s.held_out, shard.all_rows)
    return [Amount(KernelWork(shard.shape, shard.problem.classes, *block, s.activation), shard.rows * s.steps)]
