"""The cost of class-wise error-minimizing noise."""

from __future__ import annotations

import math

from unlearnable.noises.cost import Shard
from unlearnable.noises.em_classwise.noise import BATCH, shared_rows
from unlearnable.noises.em_classwise.settings import EmClasswise
from unlearnable.training.work import Amount


def of_noise(shard: Shard[EmClasswise]) -> list[Amount]:
    """All passes are for the noises of the classes, which every shard computes."""
    assert shard.subject is not None
    s = shard.problem.settings
    images = s.k_u * s.rounds * shared_rows(s, shard.problem.classes, shard.all_rows)
    work = shard.subject.work("gradient", BATCH, s.on_raw_images)
    return [Amount(work, images, math.ceil(images / shard.batch_size))]
