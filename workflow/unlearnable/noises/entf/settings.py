"""Settings of entangled features."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable.noises.settings import MethodSettings as Method


class Entf(Method):
    """Entangled features (Wen et al. 2023): noise that mixes the classes in the features of a robust source model.

    The source model is trained adversarially on clean images, against rho_a.
    """

    radii: ClassVar[tuple[str, ...]] = ("rho_u", "rho_a")

    algorithm: Literal["entf"]
    direction: Literal["push", "pull"] = Field(
        "push",
        description="push: away from the mean features of the image's class; "
        "pull: towards those of the other class that is nearest at the step",
    )
    steps: int = Field(300, ge=1, description="steps on the noise, each under a new transform")
    alpha: float = Field(0.05, gt=0, description="step, as a share of rho_u")
    k_a: int = Field(10, ge=1, description="ascent steps of the adversary that the source model is trained against")
    alpha_a: float = Field(0.5, gt=0, description="ascent step, as a share of rho_a")
