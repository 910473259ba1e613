"""Settings of the counter-measure d-vae."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class DVae(CountermeasureSettings):
    """D-VAE (Yu et al. 2024): training images as two small variational autoencoders, trained on them, rebuild them."""

    kind: Literal["d-vae"]
    first_rate: float = Field(
        2.0, gt=0, description="information that the first autoencoder may keep, in nats for a block of 4x4 pixels"
    )
    second_rate: float = Field(6.0, gt=0, description="likewise the second one, whose images are trained on")
    steps: int = Field(300, ge=1, description="of each autoencoder's training")
    batch_size: int = Field(128, ge=1, description="of each autoencoder's training")
    lr: float = Field(0.002, gt=0, description="of Adam; it rises and falls within the training")
