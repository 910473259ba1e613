"""Settings of the counter-measure pretrained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.settings import Sha256


class Pretrained(CountermeasureSettings):
    """Training that starts from weights learnt on other images, such as those of a clean victim on another dataset."""

    kind: Literal["pretrained"]
    file: str = Field(
        description="weights of the same network, as a victim's model.safetensors; a relative path starts at the "
        "working directory"
    )
    sha256: Sha256 = Field(description="checksum of that file")
    frozen: Literal["none", "half", "all-but-head"] = Field(
        "none",
        description="which weights stay as they are: none; those of the first half of the convolutions and linear "
        "layers, and of the norms among them; or all but the last linear layer's",
    )
