"""Settings of the reference without noise."""

from __future__ import annotations

from typing import Literal

from unlearnable.settings.base import Settings


class Clean(Settings):
    """No noise: the reference."""

    algorithm: Literal["clean"]
