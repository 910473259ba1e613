"""The random noise: uniform whole grey levels within the radius, of every image's own draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearnable.compute import draws
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.method import Batch, Problem, method_of
from unlearnable.noises.random.settings import Random

CPU = torch.device("cpu")
SETTINGS = Random(algorithm="random")


def noise(rho_u: int, start: int, stop: int, seed: int = 0, shape: tuple[int, ...] = (3, 5, 4)) -> Tensor:
    """Of the images ``start`` to ``stop``."""
    problem = Problem(SETTINGS, rho_u, 0, Augmentation(), 3)
    images = torch.full((stop - start, *shape), 128.0)
    labels = torch.zeros(stop - start, dtype=torch.int64)
    batch = Batch(images, labels, problem, draws.of_rows(start, stop, seed, "noise", CPU))
    return method_of(SETTINGS).noise(None, batch)


@given(rho_u=st.integers(1, 255), seed=st.integers(0, 2**31 - 1))
def test_noise_is_whole_grey_levels_within_the_radius(rho_u: int, seed: int) -> None:
    d = noise(rho_u, 0, 4, seed)
    assert d.dtype == torch.float32
    assert d.shape == (4, 3, 5, 4)
    assert torch.equal(d, d.round())
    assert d.abs().max() <= rho_u
    assert len(torch.unique(d[0])) > 1


def test_every_level_is_equally_likely_both_ends_included() -> None:
    values = noise(2, 0, 256, shape=(1, 32, 32)).int().flatten().numpy()
    counts = np.bincount(values + 2, minlength=5)
    assert len(counts) == 5
    expected = len(values) / 5
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()  # five standard deviations and more


def test_an_images_noise_depends_on_its_index_and_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "BLOCK", 5)
    every = noise(8, 0, 23)
    for size in (1, 4, 5, 11):
        parts = [noise(8, start, min(start + size, 23)) for start in range(0, 23, size)]
        assert torch.equal(torch.cat(parts), every)
    assert len({image.numpy().tobytes() for image in every}) == 23
    assert not torch.equal(noise(8, 0, 23, seed=1), every)


def test_it_is_a_control_without_a_source_model_and_without_a_descent_to_check() -> None:
    assert (SETTINGS.control, SETTINGS.source, SETTINGS.radii) == (True, "none", ("rho_u",))
    assert not method_of(SETTINGS).descends
    assert method_of(SETTINGS).noise_passes(Problem(SETTINGS, 8, 0, Augmentation(), 3)) == 0
