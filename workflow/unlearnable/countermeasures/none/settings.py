"""Settings of the counter-measure none."""

from __future__ import annotations

from typing import Literal

from unlearnable.countermeasures.settings import CountermeasureSettings


class NoCountermeasure(CountermeasureSettings):
    """The trainer suspects nothing."""

    kind: Literal["none"]
