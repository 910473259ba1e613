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
    """Convolution-based unlearnable datasets (Sadasivan et al. 2023): a blur for each class, without a network."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    radii: ClassVar[tuple[str, ...]] = ()

    algorithm: Literal["cuda"]
    kernel_size: Annotated[int, AfterValidator(_odd)] = Field(
        3, ge=3, description="side of the filters, in pixels; 9 for ImageNet in the paper"
    )
    blur: float = Field(
        0.3, gt=0, le=1, description="largest weight of a filter other than its 1; 0.06 for ImageNet in the paper"
    )

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """Unbounded: a blur may change an image by any amount."""
        return bounds.unbounded()
