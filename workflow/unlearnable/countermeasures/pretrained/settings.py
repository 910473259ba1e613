"""Settings of the counter-measure pretrained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.settings import Sha256, Slug


class Pretrained(CountermeasureSettings):
    """Training that starts from weights learnt on other images, such as those of a clean victim on another dataset."""

    kind: Literal["pretrained"]
    of: Slug | None = Field(
        None,
        description="a dataset of the study: the weights are those of its clean victim of the same network and seed, "
        "trained as usual; its images must have the same size",
    )
    file: str | None = Field(
        None,
        description="or weights of the same network, as a victim's model.safetensors; a relative path starts at the "
        "working directory",
    )
    sha256: Sha256 | None = Field(None, description="checksum of that file")
    frozen: Literal["none", "half", "all-but-head"] = Field(
        "none",
        description="which weights stay as they are: none; those of the first half of the convolutions and linear "
        "layers, and of the norms among them; or all but the last linear layer's",
    )

    @property
    def starts_from(self) -> str | None:
        """The dataset that ``of`` names."""
        return self.of

    def started(self, weights: str) -> Self:
        """The same with the file of weights of the victim that ``of`` stands for."""
        return self if self.of is None else self.model_copy(update={"file": weights})

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.of is None and (self.file is None or self.sha256 is None):
            raise PydanticCustomError("start", "needs either of, a dataset, or file and sha256")
        if self.of is not None and self.sha256 is not None:
            raise PydanticCustomError("start", "has of, a dataset, so file and sha256 must be left out")
        return self
