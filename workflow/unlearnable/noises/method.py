"""What a noise method is: the problem it solves, and how its images are shared among jobs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.settings import MethodSettings


def shard_rows(rows: int, batch_size: int, shard: int, shards: int) -> range:
    """The rows of one shard: whole batches, as evenly shared as they can be."""
    batches = math.ceil(rows / batch_size)
    first, last = batches * shard // shards, batches * (shard + 1) // shards
    return range(min(first * batch_size, rows), min(last * batch_size, rows))


class OfOneNoise(Protocol):
    """The settings of a stage that works on one noise."""

    @property
    def method(self) -> MethodSettings: ...  # noqa: D102
    @property
    def rho_u(self) -> int: ...  # noqa: D102
    @property
    def rho_a(self) -> int: ...  # noqa: D102
    @property
    def augmentation(self) -> Augmentation: ...  # noqa: D102


def problem_of(stage: OfOneNoise, classes: int) -> Problem:
    """The noise problem of a source-model or noise stage.

    Args:
        stage: its settings.
        classes: number of classes.
    """
    return Problem(stage.method, stage.rho_u, stage.rho_a, stage.augmentation, classes)


@dataclass(frozen=True)
class Problem:
    """One noise to compute.

    Attributes:
        settings: the method's own settings.
        rho_u: radius of the noise, in units of 1/255.
        rho_a: radius of the source model's adversary, in units of 1/255.
        augmentation: the victim's transform T.
        classes: number of classes.
    """

    settings: Any
    rho_u: int
    rho_a: int
    augmentation: Augmentation
    classes: int
