"""The cost of a noise and its source model: from the method's own ``cost.py``, or from its passes."""

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
        shape: ``(C, H, W)`` of a stored image.
        batch_size: images computed together.
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
    """The work for a shard, including the basis of all images' noise.

    If a noise takes other work than passes of every batch through its source model, the method defines a function with
    this name in a ``cost.py`` beside its ``noise.py``. A noise with neither that nor a source model cannot be timed
    beforehand.
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
        problem: the noise that it is trained for.
        subject: the model and its images.
        steps: number of SGD steps.
        batch_size: images in a step.
    """
    method = method_of(problem.settings)
    before, updates = (steps * n for n in (method.training_passes(problem), method.objective_passes(problem)))
    return [
        Amount(subject.work("gradient", batch_size, problem.settings.on_raw_images), before * batch_size, before),
        Amount(subject.work("step", batch_size), updates * batch_size, updates),
    ]
