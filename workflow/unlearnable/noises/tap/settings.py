"""Settings of targeted adversarial poisons."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from unlearnable.noises.settings import MethodSettings as Method

TAP_PRESETS: dict[str, dict[str, Any]] = {
    "original": {"steps": 250, "alpha": 0.05, "restarts": 8},  # Fowl et al.: 250 steps of 0.4/255 at rho_u 8
    "fu2022": {"steps": 250, "alpha": 0.008, "restarts": 1},  # Fu et al.'s comparison: 250 steps of 0.064/255
}


_ORIGINAL = TAP_PRESETS["original"]


class Tap(Method):
    """Targeted adversarial poisons (Fowl et al. 2021) on a network trained normally on clean data."""

    source: ClassVar[Literal["own", "clean", "none"]] = "clean"
    algorithm: Literal["tap"]
    preset: Literal["original", "fu2022"] = Field("original", description="fills the three keys below when unset")
    steps: int = Field(_ORIGINAL["steps"], ge=1, description="descent steps of each restart")
    alpha: float = Field(_ORIGINAL["alpha"], gt=0, description="descent step, as a share of rho_u")
    restarts: int = Field(
        _ORIGINAL["restarts"], ge=1, description="random starts; the lowest loss is kept, image by image"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(preset := data.get("preset", "original"), str):
            return TAP_PRESETS.get(preset, {}) | data
        return data
