"""What a counter-measure may change of a victim beyond ``base.Countermeasure``, which source models use too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.countermeasures._images import applied_once
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.settings import CountermeasureSettings as Settings
from unlearnable.datasets.split import Array, Split


@dataclass(frozen=True)
class VictimMeasure(Countermeasure):
    """A counter-measure with parts of its own.

    Attributes:
        prepare: changes the new network in place before its training, such as by giving it other weights; those without
            ``requires_grad`` are not trained.
        test_images: as ``images``, applied once to every clean test image: for what a network must see at every time,
            such as standardised images.
        attack: maps the frozen network, the pixels before the attack, the attack's targets, the victim's radius (1/255)
            and the step's generator to the perturbation; None for PGD as the victim's settings have it.
    """

    prepare: Callable[[nn.Module], None] | None = None
    test_images: Callable[[Array], Array] | None = None
    attack: Callable[[FrozenNetwork, Tensor, Tensor, int, torch.Generator], Tensor] | None = None


def applied_to_all(settings: Settings, train: Split, change: Callable[[Array], Array]) -> VictimMeasure:
    """As ``applied_once``, for the test images too."""
    images = applied_once(settings, train, change).images
    return VictimMeasure(images=images, test_images=images)
