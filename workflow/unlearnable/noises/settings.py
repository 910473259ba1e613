"""Settings of the noise pass, and what the settings of every noise method have in common."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from unlearnable import bounds, registry
from unlearnable.bounds import Bound
from unlearnable.settings import Settings


class MethodSettings(Settings):
    """A noise method.

    Attributes:
        source: the source model that its noise is computed with: one trained for this noise, the clean training, none.
        radii: the radii that an experiment must give for it, in units of 1/255.
    """

    source: ClassVar[Literal["own", "clean", "none"]] = "own"
    radii: ClassVar[tuple[str, ...]] = ("rho_u",)

    algorithm: str

    @property
    def carried(self) -> Literal["image", "class"] | None:
        """Whether a step of source training starts from an earlier noise: that of its images, or of their classes."""
        return None

    @property
    def on_raw_images(self) -> bool:
        """Whether the noise is computed on images as they are stored, and not on transformed ones."""
        return False

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """How far its noise goes: within ``rho_u`` grey levels for every value.

        Args:
            rho_u: radius in units of 1/255; 0 where the method has none.
            shape: of one image, ``(H, W, C)``.
        """
        return bounds.linf(rho_u)


AnyMethod = Annotated[SerializeAsAny[MethodSettings], BeforeValidator(registry.reader("noises"))]


class SignDescent(MethodSettings):
    """Sign descent of the noise d in the rho_u box."""

    k_u: int = Field(10, ge=1, description="descent steps on the noise")
    alpha_u: float = Field(0.2, gt=0, description="descent step, as a share of rho_u")
    clip: Literal["box", "pixels"] = Field(
        "box", description="box: each step clips d to rho_u; pixels: it also clips x + d to [0, 255]"
    )


class NoiseDescent(SignDescent):
    """Sign descent of a noise of its own for every image."""

    start: Literal["random", "previous"] = Field(
        "random",
        description="where a source-training step starts: a uniform draw, or the noise of the image's last visit",
    )

    @property
    def carried(self) -> Literal["image", "class"] | None:
        """The noise of the image's last visit, where ``start`` says so."""
        return "image" if self.start == "previous" else None
