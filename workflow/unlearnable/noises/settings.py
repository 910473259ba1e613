"""Shared by the settings of all noise methods."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, SerializeAsAny, Tag

from unlearnable import bounds, registry
from unlearnable.bounds import Bound
from unlearnable.settings import Settings, Slug


class MethodSettings(Settings):
    """A noise method.

    Attributes:
        source: the source model of its noise: one trained for this noise, the one of clean training, or none.
        radii: the radii that an experiment must specify for it, in units of 1/255; of a noise made of another one's,
            those of the other count.
        control: whether the noise is there to compare with, not to protect.
    """

    source: ClassVar[Literal["own", "clean", "none"]] = "own"
    radii: ClassVar[tuple[str, ...]] = ("rho_u",)
    control: ClassVar[bool] = False

    algorithm: str

    @property
    def made_of(self) -> str | None:
        """The method whose noise it gives to other images; None if it makes its own."""
        return None

    @property
    def starts_from(self) -> str | None:
        """The method whose noise its own starts from, at the same radius and seed; None for a start of its own."""
        return None

    @property
    def carried(self) -> Literal["image", "class"] | None:
        """Whether a step of source training starts from the earlier noise of its images, or of their classes."""
        return None

    @property
    def joint(self) -> bool:
        """Whether an image's noise at a step of source training depends on the others; by default that of a class."""
        return self.carried == "class"

    @property
    def on_raw_images(self) -> bool:
        """Whether the noise is computed on stored images, not on transformed ones."""
        return False

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """The bound of its noise; by default ``rho_u`` grey levels for every value.

        Args:
            rho_u: radius in units of 1/255; 0 if the method has none.
            shape: of one image, ``(H, W, C)``.
        """
        return bounds.linf(rho_u)

    def misfit(self, shape: tuple[int, int, int], classes: int) -> tuple[str, str] | None:
        """Why it cannot be used for a dataset: the key that does not fit, and a message; by default it always can.

        Args:
            shape: of one image, ``(H, W, C)``.
            classes: number of classes.
        """
        return None


AnyMethod = Annotated[SerializeAsAny[MethodSettings], BeforeValidator(registry.reader("noises"))]


class SignDescent(MethodSettings):
    """Sign descent of the noise d in the rho_u box."""

    k_u: int = Field(10, ge=1, description="descent steps on the noise")
    alpha_u: float = Field(0.2, gt=0, description="descent step, as a share of rho_u")
    clip: Literal["box", "pixels"] = Field(
        "box", description="box: each step clips d to rho_u; pixels: it also clips x + d to [0, 255]"
    )


class StartNoise(Settings):
    """A noise to start from."""

    noise: Slug = Field(description="the method that makes it, at the same rho_u and seed; it must not need a rho_a")


# The tags are no keys of the configuration; ``faults.described`` removes them.
Start = Annotated[
    Annotated[Literal["random", "previous"], Tag("[name]")] | Annotated[StartNoise, Tag("[noise]")],
    Discriminator(lambda value: "[noise]" if isinstance(value, dict | StartNoise) else "[name]"),
]


class NoiseDescent(SignDescent):
    """Sign descent of a separate noise for every image."""

    start: Start = Field(
        "random",
        description="initial noise of a source-training step: a uniform draw, or the image's noise at its last visit; "
        "{noise: pil}: the noise that the method pil made for the image, also in the noise pass",
    )

    @property
    def starts_from(self) -> str | None:
        """The method that ``start`` names."""
        return self.start.noise if isinstance(self.start, StartNoise) else None

    @property
    def carried(self) -> Literal["image", "class"] | None:
        """The image's noise at its last visit, if ``start`` says so."""
        return "image" if self.start == "previous" else None
