"""The one place that derives randomness: every draw belongs to (seed, stage, step)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derived_seed(seed: int, *place: str | int) -> int:
    """A 64-bit number that depends on ``seed`` and ``place`` alone, never on what was drawn before."""
    return int.from_bytes(hashlib.sha256(repr((seed, *place)).encode()).digest()[:8], "little")


def generator(seed: int, *place: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for one place, such as ``("noise", batch)``; it draws on ``device``."""
    import torch  # here, so that stages without tensors start faster

    return torch.Generator(device).manual_seed(derived_seed(seed, *place))


def numpy_generator(seed: int, *place: str | int) -> np.random.Generator:
    """A NumPy generator for one place."""
    return np.random.default_rng(derived_seed(seed, *place))
