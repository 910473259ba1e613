"""Settings of mutual-information unlearnable examples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.noises.settings import NoiseDescent


class MiUe(NoiseDescent):
    """Mutual-information unlearnable examples (ICLR 2026): images of a class get features of one direction."""

    algorithm: Literal["mi-ue"]
    clip: Literal["box", "pixels"] = Field(
        "pixels", description="box: each step clips d to rho_u; pixels: it also clips x + d to [0, 255]"
    )
    temperature: float = Field(0.1, gt=0, description="of the cosines between features")
    distance_weight: float = Field(
        0.1, ge=0, description="weight of the distances between features of a class; 0 in the authors' command"
    )
    companions: int = Field(
        512, ge=2, description="largest number of images with noise that the final noise of every image is fitted to"
    )

    @property
    def joint(self) -> bool:
        """The images of a batch share a loss."""
        return True

    @property
    def on_raw_images(self) -> bool:
        """Always."""
        return True

    def misfit(self, shape: tuple[int, int, int], classes: int) -> tuple[str, str] | None:
        """More classes than companions."""
        if self.companions >= classes:
            return None
        return (
            "companions",
            f"{self.companions} images cannot include one of each of {classes} classes; give at least {classes}",
        )
