"""Settings of the stages noise and merge_noise."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from unlearnable.bounds import Bound
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.settings import AnyMethod
from unlearnable.settings import Settings, Slug
from unlearnable.training.settings import Precision, Stem


def _bound(value: Any) -> Any:
    return Bound(**value) if isinstance(value, dict) else value


AnyBound = Annotated[Bound, BeforeValidator(_bound)]


class NoisePass(Settings):
    """The pass that computes the final noise with the frozen source model."""

    batch_size: int = Field(128, ge=1, description="images computed together; shards are whole batches")
    precision: Precision = Field("auto", description="as of a source model")


class NoiseSettings(Settings):
    """One noise.

    Attributes:
        noise_pass: batches and precision; ``pass`` in JSON.
        method: the noise method.
        bound: of the noise of every image.
        network: of the source model; None if the noise has none.
        stem: of the source model's network, likewise.
        augmentation: the victim's transform T.
        rho_u: radius of the noise, in units of 1/255.
        rho_a: radius of the source model's adversary, in units of 1/255.
        seed: of all random draws.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    noise_pass: NoisePass = Field(alias="pass")
    method: AnyMethod
    bound: AnyBound
    network: Slug | None
    stem: Stem | None
    augmentation: Augmentation
    rho_u: int
    rho_a: int
    seed: int
