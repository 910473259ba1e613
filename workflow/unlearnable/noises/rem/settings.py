"""Settings of robust and stable error-minimizing noise."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from unlearnable.noises.settings import NoiseDescent

Distortion = Literal["none", "gray", "jitter", "resized-crop", "blur", "jpeg", "bands"]  # compute/distortions.py


# The tags are no keys of the configuration; ``faults.described`` removes them.
Expectation = Annotated[
    Annotated[Literal["transform", "identity"], Tag("[name]")]
    | Annotated[list[Distortion], Field(min_length=1), Tag("[list]")],
    Discriminator(lambda value: "[list]" if isinstance(value, list) else "[name]"),
]


class RobustDescent(NoiseDescent):
    """The descent of a noise whose source model is adversarially trained."""

    radii: ClassVar[tuple[str, ...]] = ("rho_u", "rho_a")
    k_a: int = Field(10, ge=1, description="ascent steps of the adversary")
    alpha_a: float = Field(0.2, gt=0, description="ascent step, as a share of rho_a")
    j: int = Field(5, ge=1, description="transforms drawn for the expectation")
    expectation: Expectation = Field(
        "transform",
        description="transform: the noise is computed on images transformed as a victim's; identity: an ablation with "
        "noise computed on untransformed images, with j draws of the adversary each; a list: after the transform, one "
        "of these is drawn for each image, so that the noise survives them (none, gray, jitter, resized-crop, blur, "
        "jpeg, bands). The source model is trained on transformed images in any case",
    )

    @property
    def on_raw_images(self) -> bool:
        """In the ablation."""
        return self.expectation == "identity"


class Rem(RobustDescent):
    """Robust error-minimizing noise (Fu et al. 2022): min-min-max."""

    algorithm: Literal["rem"]
    attack: Literal["fresh", "free"] = Field(
        "fresh",
        description="fresh: k_a ascent steps for each descent step, as published; "
        "free: one pass is a step of both, and the adversary continues from its last state",
    )
