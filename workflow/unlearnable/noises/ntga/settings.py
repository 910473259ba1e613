"""Settings of the neural tangent generalization attack."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable.noises.settings import MethodSettings as Method


class Ntga(Method):
    """Neural tangent generalization attack (Yuan and Wu 2021); a batch of the noise pass is one block of images."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    radii: ClassVar[tuple[str, ...]] = ("rho_u",)

    algorithm: Literal["ntga"]
    steps: int = Field(10, ge=1, description="ascent steps on the noise")
    alpha: float = Field(0.11, gt=0, description="ascent step, as a share of rho_u")
    t: float = Field(64, gt=0, description="how long the wide network trains on a block of images, in steps of rate 1")
    held_out: int = Field(512, ge=1, description="largest number of training images that it should then misclassify")
    activation: Literal["relu", "erf"] = Field("relu", description="of that network, which has five hidden layers")
    readout: Literal["linear", "none"] = Field(
        "linear", description="its last layer: linear, or none, so that it ends in the fifth activation"
    )

    def misfit(self, shape: tuple[int, int, int], classes: int) -> tuple[str, str] | None:
        """More classes than held-out images."""
        if self.held_out >= classes:
            return None
        return (
            "held_out",
            f"{self.held_out} image(s) cannot include one of each of {classes} classes; give at least {classes}",
        )
