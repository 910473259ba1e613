"""The statistics of the comparison table agree with plain versions of them, and keep their defining properties."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from unlearnable.products.settings import MOST_SEEDS
from unlearnable.products.statistics import equivalence_p, highest_mean, holm, mean_interval, sign_flip_p, smallest_p

IMAGES = 4000  # an accuracy is a whole number of images
WHOLE = st.integers(-IMAGES, IMAGES)
PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def shares(counts: list[int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Differences of accuracies in points, as the table computes them."""
    return np.array([100 * (0.5 + count / IMAGES) - 100 * 0.5 for count in counts])


def brute_force(differences: list[int]) -> Fraction:
    """The definition of the sign-flip p, in whole numbers."""
    signs = list(itertools.product([1, -1], repeat=len(differences)))
    sums = [abs(sum(s * d for s, d in zip(of_all, differences, strict=True))) for of_all in signs]
    return Fraction(sum(each >= abs(sum(differences)) for each in sums), len(signs))


@given(st.lists(st.one_of(WHOLE, st.integers(-2, 2)), min_size=1, max_size=9))
def test_the_sign_flip_p_is_that_of_all_signs_even_where_sums_are_equal(counts: list[int]) -> None:
    assert sign_flip_p(shares(counts)) == float(brute_force(counts))


@pytest.mark.parametrize("n", [1, 2, 5, 6, 10, 13, 20, MOST_SEEDS])
def test_the_smallest_p_is_that_of_differences_that_all_agree(n: int) -> None:
    differences = np.arange(1.0, n + 1)
    assert sign_flip_p(differences) == sign_flip_p(-differences) == smallest_p(n) == 2 * 0.5**n


def test_a_known_p_of_twenty_pairs() -> None:
    differences = [1] * 15 + [-1] * 5  # a sign test: a binomial count of 5 or fewer, or 15 or more
    assert sign_flip_p(np.array(differences, float)) == stats.binomtest(5, 20).pvalue


def test_differences_that_cancel_out_or_are_all_zero_have_p_1() -> None:
    assert sign_flip_p(np.array([0.1, 0.2, -0.3])) == sign_flip_p(np.zeros(3)) == 1


@pytest.mark.parametrize("values", [[], [1.0] * (MOST_SEEDS + 1), [1.0, math.nan]])
def test_what_the_test_cannot_take_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=f"1 to {MOST_SEEDS} finite differences"):
        sign_flip_p(np.array(values))


@given(st.lists(WHOLE, min_size=2, max_size=12))
def test_the_interval_is_that_of_scipy(counts: list[int]) -> None:
    values = shares(counts)
    assume(values.std() > 1e-9)
    mean, low, high = mean_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)
    assert mean == pytest.approx(values.mean())


def test_a_single_value_has_no_interval() -> None:
    mean, low, high = mean_interval(np.array([3.0]))
    assert (mean, math.isnan(low), math.isnan(high)) == (3.0, True, True)


def plain_holm(p: list[float]) -> list[float]:
    """Step down: the k-th smallest of m times m - k + 1, and never below the one before it."""
    adjusted = [0.0] * len(p)
    last = 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        last = max(last, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = last
    return adjusted


@given(PROBABILITIES)
def test_holm_is_the_step_down_method(p: list[float]) -> None:
    assert holm(np.array(p)).tolist() == plain_holm(p)


@given(PROBABILITIES)
def test_holm_lowers_no_p_keeps_their_order_and_is_below_bonferroni(p: list[float]) -> None:
    adjusted = holm(np.array(p))
    assert all(raw <= of_raw <= min(1, len(p) * raw) for raw, of_raw in zip(p, adjusted, strict=True))
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_holm_of_a_textbook() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).tolist() == []


@given(st.lists(WHOLE, min_size=2, max_size=12), st.floats(0.5, 50))
def test_equivalence_is_two_one_sided_tests(counts: list[int], margin: float) -> None:
    values = shares(counts)
    assume(values.std() > 1e-9)
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert equivalence_p(values, margin) == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("values", "p"), [([1.0, 1.0], 0), ([4.0, 4.0], 1), ([-4.0, -4.0], 1)])
def test_equivalence_of_differences_that_do_not_vary(values: list[float], p: float) -> None:
    assert equivalence_p(np.array(values), 3) == p


def test_a_single_difference_shows_no_equivalence() -> None:
    assert math.isnan(equivalence_p(np.array([0.0]), 3))


# ---- the highest of several means


def samples(means: list[float], seed: int, seeds: int = 6) -> list[dict[int, float]]:
    """Normal values, of standard deviation 3, around the means."""
    values = np.random.default_rng(seed).normal(means, 3, (seeds, len(means)))
    return [dict(enumerate(column)) for column in values.T]


@pytest.mark.parametrize(
    "means",
    [[70] + 13 * [30], [60, 60] + 12 * [30], [60, 58] + 12 * [40], list(np.linspace(50, 60, 14))],
    ids=["one", "two", "close", "ladder"],
)
def test_the_interval_of_the_highest_mean_contains_it_as_often_as_it_says(means: list[float]) -> None:
    found = [highest_mean(samples(means, seed), np.random.default_rng(seed)) for seed in range(300)]
    held = np.mean([each.low <= max(means) <= each.high for each in found])
    assert held >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / 300)


def test_choosing_the_highest_of_equal_means_overstates_it_and_most_of_that_is_taken_off() -> None:
    means = 14 * [60.0]
    found = [highest_mean(samples(means, seed), np.random.default_rng(seed)).mean for seed in range(200)]
    chosen = [max(np.mean(list(each.values())) for each in samples(means, seed)) for seed in range(200)]
    assert np.mean(chosen) - 60 > 1.5
    assert abs(np.mean(found) - 60) < 0.6 * (np.mean(chosen) - 60)


def test_one_mean_far_above_the_others_has_the_interval_of_one_mean() -> None:
    one = samples([70.0, 20.0], 0, seeds=10)
    highest = highest_mean(one, np.random.default_rng(0))
    mean, low, high = mean_interval(np.array(list(one[0].values())))
    assert highest.mean == pytest.approx(mean, abs=0.1)
    assert [highest.low, highest.high] == pytest.approx([low, high], abs=0.5)
    assert highest.shares.tolist() == [1, 0]


def test_values_of_the_same_seeds_are_drawn_together() -> None:
    """A trainer that is always a point stronger is the strongest in every resample, however much seeds vary."""
    values = {0: 40.0, 1: 60.0, 2: 50.0}
    shifted = {seed: value + 1 for seed, value in reversed(values.items())}
    assert highest_mean([values, shifted], np.random.default_rng(0)).shares.tolist() == [0, 1]


def test_single_values_have_no_interval_of_the_highest() -> None:
    highest = highest_mean([{0: 40.0}, {0: 60.0, 1: 50.0}], np.random.default_rng(0))
    assert highest.mean == 55
    assert np.isnan([highest.low, highest.high, *highest.shares]).all()
