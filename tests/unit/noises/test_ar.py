"""Autoregressive perturbations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.ar import noise as ar
from unlearnable.noises.ar.settings import Ar
from unlearnable.noises.method import Batch, Problem

CPU = torch.device("cpu")


def task(classes: int, radius: float = 1.0) -> Problem[Ar]:
    return Problem(Ar(algorithm="ar", radius=radius), 0, 0, Augmentation(), classes)


def coefficients(classes: int, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    train = Split(
        np.zeros((classes, *shape), np.uint8), np.arange(classes), [f"class {label}" for label in range(classes)]
    )
    return ar.basis(None, train, task(classes), seed, CPU)


def noise(found: Tensor, labels: Tensor, size: int, radius: float = 1.0, seed: int = 0) -> Tensor:
    images = torch.zeros(len(labels), found.shape[1], size, size)
    draws = torch.Generator().manual_seed(seed)
    return ar.noise(found, Batch(images, labels, task(len(found), radius), draws))


def left(fields: Tensor, coefficients: Tensor) -> Tensor:
    """What the filter of coefficients ``(C, 8)`` leaves of fields ``(B, C, H, W)``, as a share of each field's size."""
    filters = torch.cat([-coefficients, torch.ones(len(coefficients), 1)], dim=1).view(-1, 1, 3, 3)
    rest = F.conv2d(fields.double(), filters.double(), groups=len(filters))
    return (rest.square().mean(dim=(1, 2, 3)) / fields.double().square().mean(dim=(1, 2, 3))).sqrt()


@given(height=st.integers(8, 14), width=st.integers(8, 14), seed=st.integers(0, 1000))
def test_fields_follow_the_recursion_pixel_by_pixel(height: int, width: int, seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    weights = torch.randn(2, 3, 8, generator=draws, dtype=torch.float64) / 4
    starts = torch.randn(2, 3, 2 * (width + 4) + 2 * (height + 2), generator=draws, dtype=torch.float64)
    expected = torch.zeros(2, 3, height + 4, width + 4, dtype=torch.float64)
    expected[:, :, :2] = starts[:, :, : 2 * (width + 4)].view(2, 3, 2, width + 4)
    expected[:, :, 2:, :2] = starts[:, :, 2 * (width + 4) :].view(2, 3, height + 2, 2)
    for row in range(2, height + 4):
        for column in range(2, width + 4):
            window = expected[:, :, row - 2 : row + 1, column - 2 : column + 1].flatten(2)[..., :8]
            expected[:, :, row, column] = (weights * window).sum(dim=2)
    torch.testing.assert_close(ar.grow(weights, starts, height, width), expected[:, :, 4:, 4:])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_classs_noise_predicts_itself_and_not_another_classs(channels: int) -> None:
    found = coefficients(10, (28, 28, channels))
    assert torch.allclose(found.sum(dim=2), torch.ones(10, channels, dtype=torch.float64))
    exact = noise(found, torch.arange(10), 28, radius=1e6)  # so large that rounding to grey levels is nothing
    published = noise(found, torch.arange(10), 28, radius=2)
    for label in range(10):
        for fields, own, others in ((exact, 1e-5, ar.APART / 2), (published, 0.2, 0.2)):
            shares = left(fields, found[label])
            assert shares[label] < own
            assert (torch.cat([shares[:label], shares[label + 1 :]]) > others).all()


@given(radius=st.floats(0.5, 20), seed=st.integers(0, 1000))
def test_the_euclidean_norm_is_the_radius(radius: float, seed: int) -> None:
    found = coefficients(2, (16, 16, 3))
    d = noise(found, torch.tensor([0, 1, 1]), 16, radius, seed)
    norms = d.square().sum(dim=(1, 2, 3)).sqrt() / 255
    assert ((norms - radius).abs() <= 0.5 / 255 * 768**0.5).all()


@pytest.mark.parametrize(("size", "classes"), [(8, 100), (32, 60), (96, 4)])
def test_no_process_blows_up_or_dies(size: int, classes: int) -> None:
    found = coefficients(classes, (size, size, 1), seed=1)
    d = noise(found, torch.arange(classes).repeat(40), size, radius=0.05 * size, seed=5)
    assert d.isfinite().all()
    squares = d.square().view(40, classes, 2, size // 2, 2, size // 2).mean(dim=(0, 3, 5)).flatten(1)
    assert (squares.amin(dim=1).sqrt() > 0.3 * squares.mean(dim=1).sqrt()).all()


@pytest.mark.parametrize(
    ("weights", "steady"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 1.0], True),  # each row goes on as it starts
        ([0, 0, 0, 0, 0, 0.5, 0, 0.5], True),  # the mean of two neighbours
        ([0, 0, 0, 0, 0, 0, -1.5, 2.5], False),  # its sum is 1, and yet it grows
        ([0, 0, 0, 0, 0, 0, 0, 1.2], False),  # grows along the rows
        ([0, 0, 0, 0, 1.2, 0, 0, 0], False),  # grows along the diagonals
        ([0, 0, 0, 0, 0, 0, 0, 0.8], False),  # dies along the rows
        ([0, 0, 0, 0, 0, 0, 0, -1e30], False),  # is not finite
    ],
)
def test_onlysteady_processes_count(weights: list[float], steady: bool) -> None:
    starts = torch.randn(1, 4, 2 * 36 + 2 * 34, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fields = ar.grow(torch.tensor(weights, dtype=torch.float64).view(1, 1, 8), starts, 32, 32)
    assert ar.steady(fields).tolist() == [steady]


def test_the_classes_before_keep_their_processes_when_classes_are_added() -> None:
    assert torch.equal(coefficients(5, (12, 12, 3)), coefficients(9, (12, 12, 3))[:5])


def test_processes_that_cannot_be_told_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ar, "APART", 0.4)
    monkeypatch.setattr(ar, "ROUNDS", 2)
    with pytest.raises(
        UserError, match=r"class \d+ \('class \d+'\): none of 32 processes on 10x10x1 differs enough from .*seed"
    ):
        coefficients(60, (10, 10, 1))


def test_the_search_for_steady_processes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ar, "STEADY", 1.1)  # no quarter has more than the mean
    monkeypatch.setattr(ar, "ROUNDS", 2)
    with pytest.raises(UserError, match="none of 128 processes is steady on 10x12"):
        coefficients(2, (10, 12, 1))
