"""Settings of the victim stage."""

from __future__ import annotations

from pydantic import Field

from unlearnable.countermeasures.settings import AnyCountermeasure
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.settings import Settings
from unlearnable.training.settings import Training


class VictimTraining(Training):
    """Standard (radius 0) or PGD-adversarial (radius > 0) training on a protected dataset."""

    steps: int = Field(40_000, ge=1, description="SGD steps, each on a batch of shuffled images")
    k_a: int = Field(10, ge=1, description="steps of the training attack")
    alpha_a: float = Field(0.2, gt=0, description="step of the training attack, as a share of the victim's radius")
    evaluate_every: int = Field(1000, ge=1, description="steps between two evaluations on the clean test set")
    stopping_share: float = Field(
        0,
        ge=0,
        le=0.5,
        description="share of the clean test images that choose a step to stop at; they are left out of all accuracies",
    )
    robust_steps: int = Field(20, ge=1, description="steps of the PGD attack that measures robust accuracy")
    robust_images: int = Field(1000, ge=1, description="number of test images under that attack (the first ones)")
    auto_attack: bool = Field(
        False, description="also measure accuracy under AutoAttack on those images; needs the extra autoattack"
    )


class VictimSettings(Settings):
    """One victim.

    Attributes:
        training: its network, steps, optimiser and evaluation.
        countermeasure: of its trainer against noise.
        augmentation: of the training images.
        radius: of its adversarial training, in units of 1/255; 0 for standard training.
        seed: of all random draws.
    """

    training: VictimTraining
    countermeasure: AnyCountermeasure
    augmentation: Augmentation
    radius: int
    seed: int
