"""Complete settings of stages, for tests that care about a few of their keys."""

from __future__ import annotations

from typing import Any

from unlearnable.bounds import linf
from unlearnable.stages.settings.noise import NoiseSettings
from unlearnable.stages.settings.perturbed_dataset import PerturbedDatasetSettings

DATASET: dict[str, Any] = {"kind": "parquet", "root": "raw", "image_size": 8, "classes": ["cat", "dog", "owl"]}


def noise_settings(**changes: Any) -> NoiseSettings:
    """Of an EM noise within 8/255."""
    whole = {
        "pass": {"batch_size": 4},
        "method": {"algorithm": "em"},
        "bound": linf(8).plain(),
        "network": "small-cnn",
        "stem": "cifar",
        "augmentation": {},
        "rho_u": 8,
        "rho_a": 0,
        "seed": 0,
    }
    return NoiseSettings.model_validate(whole | changes)


def perturbed_settings(**changes: Any) -> PerturbedDatasetSettings:
    """Of a dataset whose images all carry noise within 8/255."""
    whole = {
        "rows_per_parquet": 7,
        "rows_per_shard": 5,
        "method": "rem",
        "protected": 100,
        "seed": 0,
        "bound": linf(8).plain(),
        "dataset": DATASET,
        "noise": None,
        "source_model": None,
    }
    return PerturbedDatasetSettings.model_validate(whole | changes)
