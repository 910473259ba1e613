"""Settings of the one-pixel shortcut."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable import bounds
from unlearnable.bounds import Bound
from unlearnable.noises.settings import MethodSettings as Method


class Ops(Method):
    """The one-pixel shortcut (Wu et al. 2023): one pixel of each class set to one colour, without a network."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    radii: ClassVar[tuple[str, ...]] = ()

    algorithm: Literal["ops"]
    score: Literal["mean/variance", "mean/std"] = Field(
        "mean/variance",
        description="what a class's pixel and colour maximise: of their distance to its images, summed over the "
        "channels, mean/variance; or, as in the authors' code, mean/std over images and channels",
    )

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """One pixel, by any amount."""
        return bounds.l0(1)
