"""Settings of stable error-minimizing noise."""

from __future__ import annotations

from typing import Literal

from unlearnable.noises.rem.settings import RobustDescent


class Sem(RobustDescent):
    """Stable error-minimizing noise (AAAI 2024): REM with one uniform draw in place of k_a ascent steps on the noise.

    The source model is still trained against the full adversary.
    """

    algorithm: Literal["sem"]
