"""Settings of the shuffled noise."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable.noises.settings import MethodSettings
from unlearnable.settings import Slug


class Shuffled(MethodSettings):
    """A control: every image carries the noise that another method made for another image."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    control: ClassVar[bool] = True

    algorithm: Literal["shuffled"]
    of: Slug = Field(description="the method that made the noise; experiments give its radii")
    among: Literal["other-class", "same-class"] = Field(
        "other-class",
        description="whose noise an image carries: that of an image of any other class, or of another image of its own",
    )

    @property
    def made_of(self) -> str | None:
        """The method that made the noise."""
        return self.of
