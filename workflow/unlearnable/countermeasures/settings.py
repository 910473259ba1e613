"""Shared by the settings of all counter-measures."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny

from unlearnable import registry
from unlearnable.settings import Settings


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("must be odd, so that the window has a central pixel")
    return size


Window = Annotated[
    int, Field(ge=3, le=31, description="side of the square window in pixels, odd"), AfterValidator(_odd)
]


class CountermeasureSettings(Settings):
    """A counter-measure.

    Attributes:
        channels: the numbers of image channels that it supports.
        needs_radius: whether it is a form of adversarial training, for victims with a radius above 0.
        passes: how many times its objective passes a batch through the network in an SGD step.
        kind: its name.
    """

    channels: ClassVar[tuple[int, ...]] = (1, 3)
    needs_radius: ClassVar[bool] = False
    passes: ClassVar[int] = 1

    kind: str

    @property
    def starts_from(self) -> str | None:
        """The dataset whose clean victim gives the victim its initial weights; by default none."""
        return None

    def started(self, weights: str) -> Self:
        """The same counter-measure with that victim's file of weights, relative to the working directory."""
        return self

    def attack_passes(self, k_a: int) -> float:
        """The passes of the training attack in an SGD step, on average.

        Args:
            k_a: those of the victim's settings, which are its own unless it has another attack.
        """
        return k_a

    def misfit(self, shape: tuple[int, int, int], classes: int) -> str | None:
        """Why it cannot be used for a dataset; by default it can.

        Args:
            shape: of one image, ``(H, W, C)``.
            classes: number of classes.
        """
        return None


AnyCountermeasure = Annotated[
    SerializeAsAny[CountermeasureSettings], BeforeValidator(registry.reader("countermeasures"))
]
