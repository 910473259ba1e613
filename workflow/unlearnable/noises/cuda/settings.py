"""Settings of convolution-based unlearnable datasets."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from unlearnable import bounds
from unlearnable.bounds import Bound
from unlearnable.noises.settings import MethodSettings as Method


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("must be odd")
    return size


class Cuda(Method):
    """Convolution-based unlearnable datasets (Sadasivan et al. 2023): each class a blur of its own, no network."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    radii: ClassVar[tuple[str, ...]] = ()

    algorithm: Literal["cuda"]
    kernel_size: Annotated[int, AfterValidator(_odd)] = Field(
        3, ge=3, description="side of the filters, in pixels; the paper takes 9 for ImageNet"
    )
    blur: float = Field(
        0.3, gt=0, le=1, description="largest weight of a filter beside its 1; the paper takes 0.06 for ImageNet"
    )

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """None: a blurred image may go any distance."""
        return bounds.unbounded()
