"""Settings of linearly separable perturbations."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from unlearnable import bounds
from unlearnable.bounds import Bound
from unlearnable.noises.settings import MethodSettings as Method


class Lsp(Method):
    """Linearly separable perturbations (Yu et al. 2022): patches around a pattern for each class, without a network."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    radii: ClassVar[tuple[str, ...]] = ()

    algorithm: Literal["lsp"]
    radius: float = Field(6.0, gt=0, le=255, description="root-mean-square change of an image, in units of 1/255")
    patch: int = Field(8, ge=1, description="side of the constant square patches, in pixels")

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """The Euclidean norm of a change whose root mean square is ``radius``: 1.304 at 6/255 and 32x32x3."""
        return bounds.l2(self.radius / 255 * math.sqrt(math.prod(shape)))

    def misfit(self, shape: tuple[int, int, int], classes: int) -> tuple[str, str] | None:
        """More classes than corners of a hypercube with a dimension for each patch and channel."""
        height, width, channels = shape
        values = channels * math.ceil(height / self.patch) * math.ceil(width / self.patch)
        if classes <= 2**values:
            return None
        return (
            "patch",
            f"patch {self.patch} makes {values} value(s) of an image of {height}x{width}x{channels}, which tell "
            f"{2**values} classes apart, not {classes}; a smaller patch makes more",
        )
