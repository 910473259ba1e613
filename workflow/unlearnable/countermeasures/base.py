"""What a victim's trainer may do against noise; every part defaults to doing nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Array


@dataclass(frozen=True)
class Lesson:
    """The training data of one step.

    Attributes:
        pixels: ``(B, C, H, W)``, float in [0, 255], attacked if training is adversarial.
        targets: ``(B,)`` int64 labels, or ``(B, classes)`` probabilities.
        clean: the pixels before the attack.
    """

    pixels: Tensor
    targets: Tensor
    clean: Tensor


Objective = Callable[[nn.Module, Lesson], tuple[Tensor, Tensor]]


def cross_entropy(network: nn.Module, lesson: Lesson) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy on the lesson's pixels, and their logits."""
    logits = network(lesson.pixels)
    return F.cross_entropy(logits.float(), lesson.targets), logits


@dataclass(frozen=True)
class Countermeasure:
    """The parts of a victim's training that a counter-measure may change.

    Attributes:
        images: maps ``(n, H, W, C)`` uint8 to the same shape and type; applied once to every training image, in pieces,
            and never to test images.
        batch: maps an augmented batch, ``(B, C, H, W)`` float in [0, 255], its ``(B,)`` int64 labels and the step's
            generator to pixels and targets as in ``Lesson``.
        attack_targets: maps the frozen network, the pixels before the attack and their targets to the targets of the
            training attack; None for the targets themselves.
        attack_start: maps pixels, a radius (1/255) and a generator to the start of the training attack; None for a
            uniform draw.
        objective: maps the network in train mode and a lesson to the mean loss, and to the logits of the lesson's
            pixels; called under autocast.
    """

    images: Callable[[Array], Array] | None = None
    batch: Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]] | None = None
    attack_targets: Callable[[FrozenNetwork, Tensor, Tensor], Tensor] | None = None
    attack_start: Callable[[Tensor, float, torch.Generator], Tensor] | None = None
    objective: Objective = cross_entropy
