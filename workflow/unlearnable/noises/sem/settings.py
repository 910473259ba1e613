"""Settings of stable error-minimizing noise."""

from __future__ import annotations

from typing import Literal

from unlearnable.noises.rem.settings import RobustDescent


class Sem(RobustDescent):
    """Stable error-minimizing noise (AAAI 2024): the noise sees one uniform draw where REM's sees k_a ascent steps.

    The source model is still trained against the full adversary.
    """

    algorithm: Literal["sem"]
