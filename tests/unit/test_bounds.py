"""Each norm measures in its own unit and lets through exactly what lies within its radius."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unlearnable import bounds
from unlearnable.bounds import Bound
from unlearnable.datasets.split import Array

CHANGES = arrays(np.int16, (3, 4, 5, 3), elements=st.integers(-255, 255))


def loop_sizes(norm: str, change: Array) -> list[float]:
    """The sizes, image by image, as one would write them down."""
    if norm == "linf":
        return [max(abs(float(v)) for v in image.flat) for image in change]
    if norm == "l2":
        return [sum((float(v) / 255) ** 2 for v in image.flat) ** 0.5 for image in change]
    return [float(sum(any(pixel) for row in image for pixel in row)) for image in change]


@pytest.mark.parametrize("bound", [bounds.linf(8), bounds.l2(1.0), bounds.l0(1)], ids=lambda b: b.norm)
@given(change=CHANGES)
def test_sizes_are_in_the_bounds_own_unit(bound: Bound, change: Array) -> None:
    np.testing.assert_allclose(bound.sizes(change), loop_sizes(bound.norm, change), rtol=1e-12)


def test_the_largest_change_of_int8_extremes_does_not_overflow() -> None:
    assert bounds.linf(128).sizes(np.full((1, 2, 2, 1), -128, np.int8)).tolist() == [128.0]


@pytest.mark.parametrize(
    ("bound", "within", "beyond"),
    [
        (bounds.linf(8), [8, -8, 0, 0], [0, 9, 0, 0]),
        (bounds.l0(1), [0, 255, 0, 0], [1, 0, 0, 1]),
        (bounds.l2(50 / 255), [30, 40, 0, 0], [30, 40, 30, 0]),  # 50 and 58.3 where rounding allows 50 + 1
    ],
    ids=["linf", "l0", "l2"],
)
def test_the_first_image_beyond_the_bound_is_named(bound: Bound, within: list[int], beyond: list[int]) -> None:
    change = np.array([within, beyond, beyond], np.int16).reshape(3, 2, 2, 1)
    assert bound.exceeded_by(change[:1]) is None
    assert bound.exceeded_by(change) == 1


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 5))
def test_rounding_a_noise_on_the_sphere_stays_within_the_euclidean_bound(seed: int, radius: float) -> None:
    noise = np.random.default_rng(seed).normal(size=(1, 6, 6, 3))
    noise *= 255 * radius / np.sqrt((noise**2).sum())
    assert bounds.l2(radius).exceeded_by(noise.round().astype(np.int16)) is None


def test_without_a_bound_nothing_is_beyond_it_and_sizes_are_still_measured() -> None:
    change = np.full((1, 2, 2, 1), 255, np.int16)
    assert bounds.unbounded().exceeded_by(change) is None
    assert bounds.unbounded().sizes(change).tolist() == [255.0]


@pytest.mark.parametrize("bound", [bounds.linf(8), bounds.l2(1.3), bounds.l0(1), bounds.unbounded()])
def test_a_bound_survives_as_plain_values(bound: Bound) -> None:
    assert Bound(**bound.plain()) == bound
