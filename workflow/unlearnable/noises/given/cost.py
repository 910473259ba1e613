"""The cost of a given noise: reading and checking it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unlearnable.datasets.split import Array, Split
from unlearnable.noises.cost import Shard
from unlearnable.noises.given.formats import Opened
from unlearnable.noises.given.levels import in_levels
from unlearnable.noises.given.settings import Given
from unlearnable.training.work import Amount, Kind, Once


@dataclass(frozen=True)
class ReadingWork(Kind):
    """Noise in an array of floats, turned into grey levels, checked and written.

    Attributes:
        shape: of one image, ``(C, H, W)``.
        batch: number of images to time.
    """

    shape: tuple[int, ...]
    batch: int = 64

    @contextmanager
    def prepared(self, device: torch.device) -> Iterator[Once]:
        """Random noise, and a folder to write it into."""
        channels, height, width = self.shape
        shape = (self.batch, height, width, channels)
        noise = np.random.default_rng(0).uniform(-8, 8, shape).astype(np.float32)
        images, labels = np.zeros(shape, np.uint8), np.zeros(self.batch, np.int64)
        settings = Given(algorithm="given", path="noise.npy", content="noise", unit="levels", radius=8)
        with tempfile.TemporaryDirectory() as folder:

            def read(count: int) -> Array:
                found = Opened("noise.npy", noise[:count].shape, "float32", lambda: iter([noise[:count]]))
                return in_levels(settings, found, Split(images[:count], labels[:count], [""]), Path(folder))

            yield read


def of_noise(shard: Shard[Given]) -> list[Amount]:
    """No passes; every shard reads and checks the whole file."""
    per_class = shard.problem.settings.per == "class"
    return [Amount(ReadingWork(shard.shape), shard.problem.classes if per_class else shard.all_rows)]
