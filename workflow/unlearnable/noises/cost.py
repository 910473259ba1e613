"""What a noise and its source model cost: what the method's own ``cost.py`` says, or what follows from its passes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic

from unlearnable import registry
from unlearnable.noises.method import Problem, S_co, method_of
from unlearnable.noises.settings import MethodSettings
from unlearnable.training.work import Amount, Subject


@dataclass(frozen=True)
class Shard(Generic[S_co]):
    """One job's share of a noise.

    Attributes:
        problem: the noise to compute.
        subject: its source model; None for a noise without one.
        shape: of an image as stored, ``(C, H, W)``.
        batch_size: images that are computed together.
        rows: images in the shard.
        all_rows: images in the training set.
    """

    problem: Problem[S_co]
    subject: Subject | None
    shape: tuple[int, ...]
    batch_size: int
    rows: int
    all_rows: int


def of_noise(shard: Shard[MethodSettings]) -> list[Amount]:
    """The work for a shard, what all images' noise starts from included.

    A method whose noise takes other work than passes of every batch through its source model has a ``cost.py`` beside
    its ``noise.py``, with a function of this name. Where a noise has neither that nor a source model, there is nothing
    to time beforehand.
    """
    problem, size = shard.problem, shard.batch_size
    own = registry.load_file("noises", problem.settings.algorithm, "cost")
    if own is not None:
        amounts: list[Amount] = own.of_noise(shard)
        return amounts
    if shard.subject is None:
        return []
    passes = method_of(problem.settings).noise_passes(problem)
    work = shard.subject.work("gradient", size, problem.settings.on_raw_images)
    return [Amount(work, shard.rows * passes, math.ceil(shard.rows / size) * passes)]


def of_training(problem: Problem[MethodSettings], subject: Subject, steps: int, batch_size: int) -> list[Amount]:
    """The work of training a source model.

    Args:
        problem: the noise that it learns to be protected by.
        subject: the model and its images.
        steps: of SGD.
        batch_size: images in a step.
    """
    before = steps * method_of(problem.settings).training_passes(problem)
    return [
        Amount(subject.work("gradient", batch_size, problem.settings.on_raw_images), before * batch_size, before),
        Amount(subject.work("step", batch_size), steps * batch_size, steps),
    ]
