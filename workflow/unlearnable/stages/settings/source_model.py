"""Settings of the source_model stage."""

from __future__ import annotations

from pydantic import Field

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.settings import AnyMethod
from unlearnable.settings import Settings
from unlearnable.training.settings import Training


class SourceTraining(Training):
    """Training of the source model theta (Fu et al. 2022, Algorithm 1; TAP: standard training)."""

    history_every: int = Field(50, ge=1, description="steps between two rows of the history")


class SourceModelSettings(Settings):
    """The source model of one noise.

    Attributes:
        training: its network, steps and optimiser.
        method: the noise that it is trained for.
        augmentation: the victim's transform T.
        rho_u: radius of the noise, in units of 1/255.
        rho_a: radius of the adversary, in units of 1/255.
        seed: of all random draws.
    """

    training: SourceTraining
    method: AnyMethod
    augmentation: Augmentation
    rho_u: int
    rho_a: int
    seed: int
