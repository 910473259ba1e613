"""What a noise method is: the problem it solves, and how its images are shared among jobs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from unlearnable import registry
from unlearnable.datasets.augmentation import Augmentation


def shard_rows(rows: int, batch_size: int, shard: int, shards: int) -> range:
    """The rows of one shard: whole batches, as evenly shared as they can be."""
    batches = math.ceil(rows / batch_size)
    first, last = batches * shard // shards, batches * (shard + 1) // shards
    return range(min(first * batch_size, rows), min(last * batch_size, rows))


def problem_of(config: dict[str, Any], classes: int) -> Problem:
    """The noise problem of a source-model or noise stage.

    Args:
        config: with the keys ``method``, ``rho_u``, ``rho_a`` and ``augmentation``.
        classes: number of classes.
    """
    method = config["method"]
    return Problem(
        settings=registry.validated("noises", method),
        rho_u=config["rho_u"],
        rho_a=config["rho_a"],
        augmentation=Augmentation(**config["augmentation"]),
        classes=classes,
    )


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
