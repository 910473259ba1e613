"""The function for notebooks makes the noise of the pipeline, byte by byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unlearnable
from unlearnable.datasets.protected import apply_noise
from unlearnable.datasets.shards import load

from .pipeline import Project

CALLS: dict[str, dict[str, Any]] = {
    "sem/u16-a4": {
        "adversary": 4,
        "settings": {"k_u": 2, "k_a": 1, "j": 1, "alpha_a": 0.2, "clip": "box"},
        "source_model": {"steps": 6, "batch_size": 16},
    },
    "tap/u16-a0": {
        "settings": {"steps": 2, "alpha": 0.5, "restarts": 1},
        "source_model": {"steps": 6, "batch_size": 16},
    },
}


@pytest.mark.parametrize("noise", CALLS)
def test_the_same_settings_and_seed_give_the_same_bytes(finished: Project, noise: str) -> None:
    train = load(finished.work / "results/dataset/tiny", "train")
    protected = unlearnable.protect(
        train.images[:],
        train.labels,
        noise.partition("/")[0],
        16,
        seed=0,
        noise={"batch_size": 16},
        augmentation={"flip": True, "crop_padding": 1},
        device="cpu",
        **CALLS[noise],
    )
    levels = np.load(finished.work / f"results/noise/tiny/{noise}/s0/noise.npy")
    assert levels.any()
    assert np.array_equal(protected, apply_noise(train.images[:], levels, np.ones(len(levels), bool)))
