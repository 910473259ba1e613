"""Settings of the random noise."""

from __future__ import annotations

from typing import ClassVar, Literal

from unlearnable.noises.settings import MethodSettings


class Random(MethodSettings):
    """A control: a uniform draw of whole grey levels within rho_u for every image, without a network."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    control: ClassVar[bool] = True

    algorithm: Literal["random"]
