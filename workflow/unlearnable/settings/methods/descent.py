"""The descent that all error-minimizing noises share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.settings.methods.method import Method


class SignDescent(Method):
    """Sign descent of the noise d in the rho_u box."""

    k_u: int = Field(10, ge=1, description="descent steps on the noise")
    alpha_u: float = Field(0.2, gt=0, description="descent step, as a share of rho_u")
    clip: Literal["box", "pixels"] = Field(
        "box", description="box: each step clips d to rho_u; pixels: it also clips x + d to [0, 255]"
    )

    @property
    def carried(self) -> Literal["image", "class"] | None:
        """Whether a step of source training starts from an earlier noise: that of its images, or of their classes."""
        return None


class NoiseDescent(SignDescent):
    """Sign descent of a noise of its own for every image."""

    start: Literal["random", "previous"] = Field(
        "random",
        description="where a source-training step starts: a uniform draw, or the noise of the image's last visit",
    )

    @property
    def carried(self) -> Literal["image", "class"] | None:
        """The noise of the image's last visit, where ``start`` says so."""
        return "image" if self.start == "previous" else None
