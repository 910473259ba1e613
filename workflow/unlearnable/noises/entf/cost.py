"""The cost of entangled features."""

from __future__ import annotations

import math

from unlearnable.noises.cost import Shard
from unlearnable.noises.entf.noise import BATCH, noise_passes
from unlearnable.noises.entf.settings import Entf
from unlearnable.training.work import Amount


def of_noise(shard: Shard[Entf]) -> list[Amount]:
    """The steps of the shard's images; and the features of all images, for the means, which every shard computes."""
    assert shard.subject is not None
    passes, size = noise_passes(shard.problem), shard.batch_size
    return [
        Amount(shard.subject.work("gradient", size), shard.rows * passes, math.ceil(shard.rows / size) * passes),
        Amount(shard.subject.work("forward", BATCH), shard.all_rows),
    ]
