"""Several counter-measures, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearnable import registry
from unlearnable.countermeasures._victims import VictimMeasure
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.composed.settings import CHANGES, LOSS, Composed
from unlearnable.datasets.split import Array, Images, Split


@dataclass(frozen=True)
class Changed:
    """``images`` as a counter-measure changes them, whenever they are read."""

    images: Images
    change: Callable[[Array], Array]

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, H, W, C)``."""
        return self.images.shape

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    def __getitem__(self, rows: slice | Array) -> Array:
        """The changed images of these rows."""
        return self.change(self.images[rows])


def build(settings: Composed, train: Split, classes: int, seed: int) -> VictimMeasure:
    """The parts in the order of ``of``: each is built for, and acts on, what the parts before it left.

    The attack of a victim with a radius follows all of them; attack and loss are those of the part that has them.

    Raises:
        UserError: a part does not support the images.
    """
    parts: list[Countermeasure] = []
    last = Countermeasure()
    for part in settings.of:
        built: Countermeasure = registry.load_module("countermeasures", part.kind).build(part, train, classes, seed)
        if built.images is not None:
            train = Split(Changed(train.images, built.images), train.labels, train.classes)
        if CHANGES[part.kind] == LOSS:
            last = built
        parts.append(built)
    own = [part for part in parts if isinstance(part, VictimMeasure)]
    return VictimMeasure(
        images=_images([part.images for part in parts if part.images is not None]),
        batch=_batch([part.batch for part in parts if part.batch is not None]),
        attack_targets=last.attack_targets,
        attack_start=last.attack_start,
        objective=last.objective,
        prepare=next((part.prepare for part in own if part.prepare is not None), None),
        attack=last.attack if isinstance(last, VictimMeasure) else None,
        test_images=_images([part.test_images for part in own if part.test_images is not None]),
    )


def _images(changes: list[Callable[[Array], Array]]) -> Callable[[Array], Array] | None:
    def images(chunk: Array) -> Array:
        for change in changes:
            chunk = change(chunk)
        return chunk

    return images if changes else None


Batch = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def _batch(changes: list[Batch]) -> Batch | None:
    def batch(pixels: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        for change in changes:
            pixels, targets = change(pixels, targets, generator)
        return pixels, targets

    return batch if changes else None
