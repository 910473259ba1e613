"""Settings of class-wise error-minimizing noise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.noises.settings import SignDescent


class EmClasswise(SignDescent):
    """Class-wise error-minimizing noise (Huang et al. 2021): all images of a class carry the same noise."""

    algorithm: Literal["em-classwise"]
    k_u: int = Field(1, ge=1, description="descent steps on the noise of a batch's classes")
    alpha_u: float = Field(0.1, gt=0, description="descent step, as a share of rho_u")
    clip: Literal["box", "pixels"] = Field(
        "pixels", description="box: each step clips d to rho_u; pixels: it also clips x + d to [0, 255]"
    )
    share: float = Field(
        0.2, gt=0, le=1, description="share of the training images, class-balanced, for the final noise"
    )
    rounds: int = Field(10, ge=1, description="passes over that share")

    @property
    def carried(self) -> Literal["image", "class"] | None:
        """The noise of each class is carried from step to step."""
        return "class"

    @property
    def on_raw_images(self) -> bool:
        """Always."""
        return True
