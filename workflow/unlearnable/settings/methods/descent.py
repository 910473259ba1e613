"""The descent that all error-minimizing noises share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.settings.base import Settings


class NoiseDescent(Settings):
    """Sign descent of the noise d in the rho_u box."""

    k_u: int = Field(10, ge=1, description="descent steps on the noise")
    alpha_u: float = Field(0.2, gt=0, description="descent step, as a share of rho_u")
    start: Literal["random", "previous"] = Field(
        "random",
        description="where a source-training step starts: a uniform draw, or the noise of the image's last visit",
    )
    clip: Literal["box", "pixels"] = Field(
        "box", description="box: each step clips d to rho_u; pixels: it also clips x + d to [0, 255]"
    )
