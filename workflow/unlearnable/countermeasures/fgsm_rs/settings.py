"""Settings of the counter-measure fgsm-rs."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings

CHECK_STEPS = 10


class FgsmRs(CountermeasureSettings):
    """FGSM with a random start (Wong et al. 2020): adversarial training at one attack pass a step."""

    needs_radius: ClassVar[bool] = True
    kind: Literal["fgsm-rs"]
    alpha: float = Field(1.25, gt=0, description="step of the training attack, as a share of the victim's radius")
    check_every: int = Field(
        20, ge=1, description="steps between two checks by PGD that robustness has not collapsed, on average"
    )
    largest_gap: float = Field(
        0.4,
        gt=0,
        le=1,
        description="share of a batch that may withstand the training attack but not PGD; beyond it the job fails",
    )

    def attack_passes(self, k_a: int) -> float:
        """One, and those of the checks."""
        return 1 + CHECK_STEPS / self.check_every
