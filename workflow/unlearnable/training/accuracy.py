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
from unlearnable.progress import Meter
from unlearnable.randomness import generator

BATCH = 250
Seen = Callable[[Tensor], Tensor]


def batches(feed: Feed, see: Seen, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the first ``count`` images, ``(B, C, H, W)`` float in [0, 255], transformed, and their labels."""
    rows = (np.arange(at, min(at + BATCH, count)) for at in range(0, count, BATCH))
    return ((see(x).float(), y) for x, y, _ in feed.batches(rows))


def accuracy(engine: Engine, feed: Feed, see: Seen) -> float:
    """The share of the images that the network classifies correctly in eval mode.

    Args:
        engine: the network.
        feed: images and labels.
        see: transform of the images (``augment.evaluation``).
    """
    correct = torch.zeros((), dtype=torch.int64, device=feed.device)
    with frozen(engine.network, engine.precision, engine.micro_batch) as fixed:
        for x, y in batches(feed, see, len(feed)):
            correct += (fixed.logits(x).argmax(1) == y).sum()
    return int(correct) / len(feed)


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
    correct = torch.zeros((), dtype=torch.int64, device=feed.device)
    with frozen(engine.network, engine.precision, engine.micro_batch) as fixed:
        for index, (x, y) in enumerate(batches(feed, see, count)):
            draws = generator(seed, "robust accuracy", index, device=feed.device)
            attacked = x + ascend(fixed, x, y, radius, steps, 0.2, uniform(x, radius, draws))
            correct += (fixed.logits(attacked).argmax(1) == y).sum()
            meter.at(min((index + 1) * BATCH, count), "attacked by PGD")
        return int(correct) / count, math.ceil(fixed.images / BATCH)
