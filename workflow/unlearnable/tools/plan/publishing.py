"""The work of the perturbed_dataset stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from unlearnable.datasets.encoded import MODES, decode, encode
from unlearnable.training.work import Kind, Once


@dataclass(frozen=True)
class PublishingWork(Kind):
    """Encoding images as PNG, and decoding them to check them.

    Attributes:
        shape: of one image, ``(C, H, W)``.
        batch: number of images to time.
    """

    shape: tuple[int, ...]
    batch: int = 64

    @contextmanager
    def prepared(self, device: torch.device) -> Iterator[Once]:
        """Images as smooth as photographs, with as much noise as protected ones."""
        draws = np.random.default_rng(0)
        channels, height, width = self.shape
        coarse = draws.integers(0, 256, (self.batch, -(-height // 8), -(-width // 8), channels), np.int16)
        smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
        images = np.clip(smooth + draws.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)
        yield lambda count: [decode(encode(image), "", None, MODES[channels]) for image in images[:count]]
