"""Settings of the counter-measure rescale."""

from __future__ import annotations

from typing import Literal

from unlearnable.countermeasures.settings import CountermeasureSettings


class Rescale(CountermeasureSettings):
    """Training images to half their height and width, and back."""

    kind: Literal["rescale"]
