"""From a stage's plain settings to the noise problem they describe."""

from __future__ import annotations

from typing import Any

from unlearnable import registry
from unlearnable.descent import Problem
from unlearnable.settings.dataset import Augmentation


def problem_of(config: dict[str, Any], classes: int) -> Problem:
    """The noise problem of a source-model or noise stage.

    Args:
        config: with the keys ``method``, ``rho_u``, ``rho_a`` and ``augmentation``.
        classes: number of classes.
    """
    method = config["method"]
    return Problem(
        settings=registry.load("noises", method["algorithm"]).Settings(**method),
        rho_u=config["rho_u"],
        rho_a=config["rho_a"],
        augmentation=Augmentation(**config["augmentation"]),
        classes=classes,
    )
