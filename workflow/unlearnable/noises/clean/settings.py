"""Settings of the reference without noise."""

from __future__ import annotations

from typing import ClassVar, Literal

from unlearnable.noises.settings import MethodSettings as Method


class Clean(Method):
    """No noise: the reference."""

    radii: ClassVar[tuple[str, ...]] = ()
    algorithm: Literal["clean"]
