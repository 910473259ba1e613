"""Settings of autoregressive perturbations."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable import bounds
from unlearnable.bounds import Bound
from unlearnable.noises.settings import MethodSettings as Method


class Ar(Method):
    """Autoregressive perturbations (Sandoval-Segura et al. 2022): a process for each class, without a network."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    radii: ClassVar[tuple[str, ...]] = ()

    algorithm: Literal["ar"]
    radius: float = Field(
        1.0,
        gt=0,
        description="Euclidean norm of an image's change, its values in [0, 1]; 1.0 is a root mean square of 4.6/255 "
        "at 32x32x3, and of 0.7/255 at 224x224x3, where most of it is lost in rounding",
    )

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """The Euclidean norm ``radius``."""
        return bounds.l2(self.radius)
