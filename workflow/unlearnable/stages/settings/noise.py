"""What the stages noise and merge_noise are given."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from unlearnable.bounds import Bound
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.settings import AnyMethod
from unlearnable.settings import Settings, Slug
from unlearnable.training.settings import Precision, Stem


class NoisePass(Settings):
    """The pass that computes the published noise with the frozen source model."""

    batch_size: int = Field(128, ge=1, description="images that are computed together; shards are whole batches")
    precision: Precision = "auto"


def _bound(values: Any) -> Any:
    """A bound from its plain values, which strict settings would not take."""
    return Bound(**values) if isinstance(values, dict) else values


class NoiseSettings(Settings):
    """One noise.

    Attributes:
        noise_pass: batches and precision; ``pass`` in JSON.
        method: the noise method.
        bound: what the noise of every image keeps to.
        network: of the source model; None for a noise without one.
        stem: of the source model's network, likewise.
        augmentation: the victim's transform T.
        rho_u: radius of the noise, in units of 1/255.
        rho_a: radius of the source model's adversary, in units of 1/255.
        seed: of all draws.
    """

    noise_pass: NoisePass = Field(alias="pass")
    method: AnyMethod
    bound: Annotated[Bound, BeforeValidator(_bound)]
    network: Slug | None
    stem: Stem | None
    augmentation: Augmentation
    rho_u: int
    rho_a: int
    seed: int
