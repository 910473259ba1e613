"""How far a protected image may be from its original: the norm that limits the noise, its radius and its unit."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Bound:
    """A ball around every original image.

    Attributes:
        norm: ``linf``: the largest change of a value; ``l2``: the Euclidean norm of the change; ``l0``: the number of
            pixels that change (in any channel); ``none``: the noise is unbounded.
        radius: of the ball, in ``unit``; 0 for ``none``.
        unit: of the radius.
    """

    norm: Literal["linf", "l2", "l0", "none"]
    radius: int | float
    unit: str

    @property
    def dtype(self) -> type[np.int8 | np.int16]:
        """The smallest type of a value's change in whole grey levels."""
        return np.int8 if self.norm == "linf" and self.radius <= np.iinfo(np.int8).max else np.int16

    def plain(self) -> dict[str, Any]:
        """As JSON values; ``Bound(**plain)`` restores the bound."""
        return asdict(self)

    def sizes(self, change: Array) -> Array:
        """The size of each image's change, in the bound's own unit; for ``none``, as for ``linf``.

        Args:
            change: ``(N, H, W, C)``, whole grey levels, signed.

        Returns:
            ``(N,)``, float64.
        """
        if self.norm == "l0":
            return change.any(axis=3).sum(axis=(1, 2)).astype(np.float64)  # type: ignore[no-any-return]
        flat = np.abs(change.reshape(len(change), -1).astype(np.int32))
        if self.norm == "l2":
            return np.sqrt((flat * flat).sum(axis=1, dtype=np.int64)) / 255  # type: ignore[no-any-return]
        return flat.max(axis=1, initial=0).astype(np.float64)  # type: ignore[no-any-return]

    def allowed(self, shape: tuple[int, ...]) -> float:
        """The largest allowed size of the change of an image of ``shape`` (H, W, C).

        In the Euclidean norm that is the radius plus the most that rounding to whole grey levels, by at most half a
        level for each value, can add.
        """
        if self.norm == "none":
            return math.inf
        return self.radius + (0.5 / 255 * math.sqrt(math.prod(shape)) if self.norm == "l2" else 0.0)

    def exceeded_by(self, change: Array) -> int | None:
        """The first image whose change, ``(N, H, W, C)`` in whole grey levels, exceeds the bound; None if none does."""
        beyond = np.flatnonzero(self.sizes(change) > self.allowed(change.shape[1:]) + 1e-9)
        return int(beyond[0]) if beyond.size else None

    def __str__(self) -> str:
        """The bound in words."""
        return "no bound" if self.norm == "none" else f"{self.norm} {self.radius:g} {self.unit}"


def linf(rho_u: int) -> Bound:
    """Every value changes by at most ``rho_u`` grey levels."""
    return Bound("linf", rho_u, "1/255")


def l2(radius: float) -> Bound:
    """The change of an image, its values scaled to [0, 1], has a Euclidean norm of at most ``radius``."""
    return Bound("l2", radius, "of [0, 1]")


def l0(pixels: int) -> Bound:
    """At most ``pixels`` pixels of an image change, by any amount."""
    return Bound("l0", pixels, "pixel(s)")


def unbounded() -> Bound:
    """No limit on how far an image may change."""
    return Bound("none", 0.0, "1/255")
