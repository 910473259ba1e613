"""Settings of the counter-measure d-vae."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class DVae(CountermeasureSettings):
    """D-VAE (Yu et al. 2024): training images as autoencoders of a limited rate, fitted on them, reconstruct them."""

    kind: Literal["d-vae"]
    kld_limit_1: float = Field(
        1.0,
        ge=0,
        description="rate of the first stage, whose perturbations are subtracted: below it, in nats for each position "
        "of the codes, the Kullback-Leibler divergence costs nothing",
    )
    kld_limit_2: float = Field(3.0, ge=0, description="the same for the second stage, whose reconstructions are kept")
    steps: int = Field(300, ge=1, description="of each stage's training")
    batch_size: int = Field(64, ge=2, description="of each stage's training")
    lr: float = Field(0.01, gt=0, description="Adam's first learning rate, which falls to 0 as a cosine")
    width: int = Field(16, ge=1, description="channels of the convolutions and of the codes")
