"""Settings of error-minimizing noise with the clean-uniform term."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.noises.rem.settings import RobustDescent


class CleanUniform(RobustDescent):
    """Error-minimizing noise (Fang et al. 2024) whose source model must learn it, and nothing of clean images.

    The noise meets no adversary; the source model is trained against one, and towards equal probabilities on clean
    images.
    """

    algorithm: Literal["clean-uniform"]
    uniform_weight: float = Field(
        1.0, ge=0, description="weight of the distance of clean images' probabilities from equal ones"
    )
    squared: bool = Field(
        False, description="whether that distance is squared, as in the authors' code unless for CIFAR-10"
    )
