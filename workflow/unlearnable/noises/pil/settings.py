"""Settings of perturbation-induced linearization."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable.noises.settings import SignDescent


class Pil(SignDescent):
    """Perturbation-induced linearization (ICLR 2026): noise from a linear model of clean images."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"

    algorithm: Literal["pil"]
    k_u: int = Field(30, ge=1, description="descent steps on the noise")
    alpha_u: float = Field(0.1, gt=0, description="descent step, as a share of rho_u")
    label_weight: float = Field(
        0.9,
        ge=0,
        le=1,
        description="weight of the loss for which the noise alone shows the label; the rest is that of the loss for "
        "which the protected image shows none",
    )
    epochs: int = Field(30, ge=1, description="passes over the clean images to train the linear model")
    lr: float = Field(0.003, gt=0, description="first learning rate of the linear model, which falls to 0 as a cosine")
