"""What the settings of every noise method say of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from unlearnable import bounds
from unlearnable.bounds import Bound
from unlearnable.settings.base import Settings


class Method(Settings):
    """A noise method.

    Attributes:
        source: the source model that its noise is computed with: one trained for this noise, the clean training, none.
        radii: the radii that an experiment must give for it, in units of 1/255.
    """

    source: ClassVar[Literal["own", "clean", "none"]] = "own"
    radii: ClassVar[tuple[str, ...]] = ("rho_u",)

    algorithm: str

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """How far its noise goes: within ``rho_u`` grey levels for every value.

        Args:
            rho_u: radius in units of 1/255; 0 where the method has none.
            shape: of one image, ``(H, W, C)``.
        """
        return bounds.linf(rho_u)
