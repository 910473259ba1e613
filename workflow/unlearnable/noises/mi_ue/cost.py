"""The cost of mutual-information unlearnable examples."""

from __future__ import annotations

import math

from unlearnable.noises.cost import Shard
from unlearnable.noises.mi_ue.noise import noise_passes
from unlearnable.noises.mi_ue.settings import MiUe
from unlearnable.training.work import Amount


def of_noise(shard: Shard[MiUe]) -> list[Amount]:
    """The steps of the shard's images, and those of the companions, which every shard takes."""
    assert shard.subject is not None
    s, passes, size = shard.problem.settings, noise_passes(shard.problem), shard.batch_size
    companions = passes * min(s.companions, shard.all_rows)
    images = shard.rows * passes
    counted = math.ceil(companions / size) + math.ceil(shard.rows / size) * passes
    return [Amount(shard.subject.work("gradient", size, s.on_raw_images), images + companions, counted)]
