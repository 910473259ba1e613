"""Settings of error-minimizing noise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.noises.settings import NoiseDescent


class Em(NoiseDescent):
    """Error-minimizing noise (Huang et al. 2021): no adversary, no expectation over transforms."""

    algorithm: Literal["em"]
    clip: Literal["box", "pixels"] = Field(
        "pixels", description="box: each step clips d to rho_u; pixels: it also clips x + d to [0, 255]"
    )
    frame: Literal["raw", "augmented"] = Field(
        "raw",
        description="raw: the noise is computed on the image itself; augmented: on a transformed copy, and "
        "added to the image untransformed, so that it rarely meets the pixels it was made for (as in Fu et al.'s code)",
    )

    @property
    def on_raw_images(self) -> bool:
        """In the raw frame."""
        return self.frame == "raw"
