"""Statistics of paired samples: means with intervals, exact tests, and their adjustment for several comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from unlearnable.products.settings import MOST_SEEDS

Values = NDArray[np.float64]

LEVEL = 0.95  # of intervals
ALPHA = 0.05  # below which a p is called significant
RESAMPLES = 2000  # of a bootstrap
ROUNDING = 1e-12  # of the sum of all absolute values: sums this close are equal


def mean_interval(values: Values) -> tuple[float, float, float]:
    """The mean and its 95 % t interval: mean, lower and upper end; both ends are nan for a single value.

    Args:
        values: independent values, ``(n,)``.
    """
    mean = float(np.mean(values))
    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * _standard_error(values)
    return mean, mean - half, mean + half


def sign_flip_p(differences: Values) -> float:
    """The exact two-sided p of the paired sign-flip test.

    It is the share of all 2**n ways to give signs to the differences whose sum is as far from 0 as the one measured.
    The differences are split in two, and the sums of one half are looked up among the sorted sums of the other, so
    that 2**(n/2) numbers are kept.

    Args:
        differences: one for each pair, ``(n,)``, 1 to 40 of them.

    Raises:
        ValueError: there are too few or too many, or one is not finite.
    """
    n = len(differences)
    if not 1 <= n <= MOST_SEEDS or not np.isfinite(differences).all():
        raise ValueError(f"the test takes 1 to {MOST_SEEDS} finite differences")
    as_far = abs(float(np.sum(differences))) - ROUNDING * float(np.sum(np.abs(differences)))
    if as_far <= 0:
        return 1.0
    one, other = _signed_sums(differences[: n // 2]), np.sort(_signed_sums(differences[n // 2 :]))
    above = len(other) - np.searchsorted(other, as_far - one)
    return int(above.sum()) * 0.5 ** (n - 1)  # of 2**n, and as many are as far below 0


def _signed_sums(values: Values) -> Values:
    """The sums of the values with all combinations of signs, ``(2**n,)``."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def smallest_p(n: int) -> float:
    """The smallest p that the sign-flip test of ``n`` pairs can give: all differences have the same sign."""
    return 0.5 ** (n - 1)


def holm(p: Values) -> Values:
    """The p of several tests adjusted by Holm's method, which bounds the chance of any false finding, ``(m,)``."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]))
    return adjusted


def equivalence_p(differences: Values, margin: float) -> float:
    """The p of two one-sided t tests (TOST): a small one means that the mean difference is within the margin.

    Args:
        differences: one for each pair, ``(n,)``.
        margin: that the mean must not exceed either way; above 0.

    Returns:
        The larger p of the two tests; nan for a single difference.
    """
    room = margin - abs(float(np.mean(differences)))
    error = _standard_error(differences)
    if error == 0:
        return 0.0 if room > 0 else 1.0
    return float(stdtr(len(differences) - 1, -room / error))


@dataclass(frozen=True)
class Highest:
    """The highest of several means.

    Attributes:
        mean: the estimate.
        low: lower end of its 95 % interval.
        high: upper end.
        shares: how often each of the means was the highest in the bootstrap, ``(k,)``, 0..1.
    """

    mean: float
    low: float
    high: float
    shares: Values


def highest_mean(samples: Sequence[Mapping[int, float]], draws: np.random.Generator) -> Highest:
    """The highest of several means, without the excess that comes from choosing it by the same values.

    The highest sample mean tends to lie above the highest mean. A bootstrap over the seeds measures by how much: its
    own highest means lie about as far above the sample's, and both the estimate and the interval are moved down by that
    (the basic bootstrap). Values of the same seed are drawn together. Residuals are scaled by sqrt(n / (n - 1)), and
    the interval by the ratio of the t to the normal quantile, because few seeds understate the spread.

    Of six normal values for each of 14 means, the interval held the highest mean in 94 to 96 % of simulations, and in
    87 to 93 % if all means were equal; then it lies above.

    Args:
        samples: the values of each mean by seed; different means may have different seeds.
        draws: of the bootstrap.

    Returns:
        Where a mean is of a single value, the highest sample mean; its ends and the shares are nan.
    """
    values = [np.array([sample[seed] for seed in sorted(sample)]) for sample in samples]
    means = np.array([each.mean() for each in values])
    first = int(means.argmax())
    highest = float(means[first])
    if min(map(len, values)) == 1:
        return Highest(highest, np.nan, np.nan, np.full(len(means), np.nan))
    rows: dict[tuple[int, ...], NDArray[np.int64]] = {}
    resampled = np.empty((RESAMPLES, len(means)))
    for place, (sample, own) in enumerate(zip(samples, values, strict=True)):
        n, seeds = len(own), tuple(sorted(sample))
        if seeds not in rows:
            rows[seeds] = draws.integers(n, size=(RESAMPLES, n))
        residuals = (own - means[place]) * (n / (n - 1)) ** 0.5
        resampled[:, place] = means[place] + residuals[rows[seeds]].mean(axis=1)
    again = resampled.max(axis=1)
    estimate = 2 * highest - float(again.mean())
    ends = 2 * highest - np.quantile(again, [(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    wider = float(stdtrit(len(values[first]) - 1, (1 + LEVEL) / 2) / ndtri((1 + LEVEL) / 2))
    half = wider * float(np.abs(ends - estimate).max())  # either side alone is too short if the means are close
    shares = np.bincount(resampled.argmax(axis=1), minlength=len(means)) / RESAMPLES
    return Highest(estimate, estimate - half, estimate + half, shares)


def _standard_error(values: Values) -> float:
    """Of the mean; nan for a single value."""
    return float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
