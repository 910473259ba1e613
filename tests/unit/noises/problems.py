"""Small problems of every method, and what its tests compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.clean.settings import Clean
from unlearnable.noises.em.settings import Em
from unlearnable.noises.em_classwise.settings import EmClasswise
from unlearnable.noises.method import Batch, NoiseMethod, Problem, method_of
from unlearnable.noises.rem.settings import Rem
from unlearnable.noises.sem.settings import Sem
from unlearnable.noises.tap.settings import Tap

CPU = torch.device("cpu")
CLASSES = 3
ALL_BUT_ONE = 0.997  # of 336 pixels: of one at most does a gradient lie within rounding of the zero of its sign
IMAGEWISE = ["em", "rem", "sem", "tap"]  # the methods that give every image a noise of its own
SETTINGS: dict[str, Any] = {
    "clean": Clean(algorithm="clean"),
    "em": Em(algorithm="em", k_u=3, alpha_u=0.4),
    "em-classwise": EmClasswise(algorithm="em-classwise", k_u=3, alpha_u=0.4),
    "rem": Rem(algorithm="rem", k_u=3, alpha_u=0.4, k_a=2, alpha_a=0.6, j=2),
    "sem": Sem(algorithm="sem", k_u=3, alpha_u=0.4, k_a=2, alpha_a=0.6, j=2),
    "tap": Tap(algorithm="tap", steps=4, alpha=0.3, restarts=3),
}
AUGMENTATIONS = [
    Augmentation(),
    Augmentation(flip=True),
    Augmentation(crop_padding=1),
    Augmentation(flip=True, crop_padding=2),
]


def problem(
    method: str, augmentation: Augmentation = AUGMENTATIONS[3], clip: str | None = None, **radii: int
) -> Problem[Any]:
    settings = SETTINGS[method].model_copy(update={"clip": clip} if clip else {})
    return Problem(settings, **({"rho_u": 8, "rho_a": 4} | radii), augmentation=augmentation, classes=CLASSES)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def of(method: str) -> NoiseMethod:
    return method_of(SETTINGS[method])


def free(task: Problem[Any]) -> Problem[Any]:
    """The problem with one pass for both players."""
    return replace(task, settings=task.settings.model_copy(update={"attack": "free"}))


def learned_from(
    method: str, fixed: FrozenNetwork, images: Tensor, labels: Tensor, task: Problem[Any], generator: torch.Generator
) -> Tensor:
    """What the source model learns from at one step."""
    pixels: Tensor = of(method).training_inputs(fixed, Batch(images, labels, task, generator))[0]
    return pixels


def share_equal(a: Tensor, b: Tensor) -> float:
    return float((a == b).double().mean())
