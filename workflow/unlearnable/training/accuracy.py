"""Measurements on a trained network, batch by batch, so that any number of images can be used."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import Engine
from unlearnable.compute.frozen import frozen
from unlearnable.compute.pgd import ascend, uniform
from unlearnable.errors import UserError
from unlearnable.progress import Meter
from unlearnable.randomness import generator

BATCH = 250
Seen = Callable[[Tensor], Tensor]


def batches(feed: Feed, see: Seen, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the first ``count`` images, ``(B, C, H, W)`` float in [0, 255], transformed, and their labels."""
    rows = (np.arange(at, min(at + BATCH, count)) for at in range(0, count, BATCH))
    return ((see(x).float(), y) for x, y, _ in feed.batches(rows))


class Right:
    """Counts correct answers, on the device, without waiting for it."""

    def __init__(self, device: torch.device) -> None:
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add the answers to some images: logits ``(B, classes)`` and labels ``(B,)``."""
        self._correct += (logits.argmax(1) == labels).sum()
        self._finite &= logits.isfinite().all()

    def count(self) -> int:
        """The number of correct answers.

        Raises:
            UserError: an answer was not finite, so that its largest logit means nothing.
        """
        if not self._finite:
            raise UserError("victim: the network's outputs are not finite, so its training has diverged; lower lr")
        return int(self._correct)


def accuracy(engine: Engine, feed: Feed, see: Seen) -> float:
    """The share of the images that the network classifies correctly in eval mode.

    Args:
        engine: the network.
        feed: images and labels.
        see: transform of the images (``augment.evaluation``).
    """
    right = Right(feed.device)
    with frozen(engine.network, engine.precision, engine.micro_batch) as fixed:
        for x, y in batches(feed, see, len(feed)):
            right.add(fixed.logits(x), y)
    return right.count() / len(feed)


def robust_accuracy(
    engine: Engine, feed: Feed, see: Seen, radius: float, steps: int, images: int, seed: int
) -> tuple[float, int]:
    """The accuracy under PGD with ``steps`` steps of radius/5 (1/255) from one random start, and the passes taken.

    At radius 0 it is the plain accuracy and takes no forward+backward passes.

    Args:
        engine: the network.
        feed: images and labels.
        see: transform of the images before the attack.
        radius: of the attack, in units of 1/255.
        steps: of the attack.
        images: number of images to attack, from the first.
        seed: of the random start.
    """
    count = min(images, len(feed))
    meter = Meter("image", count, 1, feed.device.type)
    right = Right(feed.device)
    with frozen(engine.network, engine.precision, engine.micro_batch) as fixed:
        for index, (x, y) in enumerate(batches(feed, see, count)):
            draws = generator(seed, "robust accuracy", index, device=feed.device)
            attacked = x + ascend(fixed, x, y, radius, steps, 0.2, uniform(x, radius, draws))
            right.add(fixed.logits(attacked), y)
            meter.at(min((index + 1) * BATCH, count), "attacked by PGD")
        return right.count() / count, math.ceil(fixed.images / BATCH)
