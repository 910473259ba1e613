"""What measured accuracies say about a release, in numbers and in plain words."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtrit

from unlearnable.products.comparisons import NEAR_CHANCE
from unlearnable.products.statistics import LEVEL, Values

ENOUGH = 50  # per cent of what originals teach that the noise must take away
NEAR_HISTOGRAM = 5  # points: a network this close to a colour histogram may use nothing else
MOST_FREEDOM = 1e6  # degrees; more make no difference


Finding = Literal["protected", "not protected", "undecided", "cannot be shown", "no verdict"]


class Protection(NamedTuple):
    """The share of what originals teach beyond chance that a release does not.

    Attributes:
        mean: in per cent; nan if the originals teach next to nothing.
        low: end of its 95 % interval; nan if there is only one seed.
        high: likewise.
    """

    mean: float
    low: float
    high: float


def protection(originals: Values, release: Values, chance: float, test_images: int) -> Protection:
    """Protection with its interval, which covers other seeds and other test images.

    The variance of the difference is that between seeds plus that of drawing the test images, which all seeds share;
    the latter is that of two independent draws, so it is rather too large. Its degrees of freedom are Satterthwaite's
    (1946). The originals' own accuracy, by which the difference is divided, counts as exact.

    Args:
        originals: test accuracies of networks trained on the originals, by seed, in per cent, ``(n,)``.
        release: of those trained on the release, with the same seeds.
        chance: in per cent.
        test_images: number of images that they were tested on.
    """
    taught = float(originals.mean()) - chance
    if taught <= NEAR_CHANCE:
        return Protection(math.nan, math.nan, math.nan)
    differences, n = originals - release, len(originals)
    mean = float(differences.mean())
    if n == 1:
        return Protection(100 * mean / taught, math.nan, math.nan)
    of_seeds = float(differences.var(ddof=1)) / n
    of_images = sum(float(each.mean()) * (100 - float(each.mean())) for each in (originals, release)) / test_images
    whole = of_seeds + of_images
    freedom = min(MOST_FREEDOM, whole**2 / of_seeds**2 * (n - 1)) if of_seeds else MOST_FREEDOM
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(whole)
    low, high = (float(np.clip(100 * (mean + side * half) / taught, -100, 100)) for side in (-1, 1))
    return Protection(100 * mean / taught, low, high)


def solved_by_histogram(histogram: float, network: float) -> str | None:
    """Why a task cannot show protection; None if it can.

    Args:
        histogram: accuracy of a colour histogram on the originals, in per cent.
        network: that of the best network after standard training on them.
    """
    if network - histogram > NEAR_HISTOGRAM:
        return None
    return f"a colour histogram solves it ({histogram:.0f} % of {network:.0f} %)"


def verdict(
    way: str, originals: float, release: float, chance: float, found: Protection, solved: str | None
) -> tuple[Finding, str]:
    """What was found for a way of training, and a line that says so.

    Args:
        way: of training, in words.
        originals: mean accuracy after training on the originals, in per cent.
        release: after training on the release.
        chance: in per cent.
        found: the protection.
        solved: why the task cannot show protection; None if it can.
    """
    of = f"{release:.0f} % of {originals:.0f} %"
    if math.isnan(found.mean):
        return (
            "no verdict",
            f"no verdict on {way}: the originals teach it nothing ({originals:.0f} %, chance is {chance:.0f} %)",
        )
    if math.isnan(found.low):
        return "no verdict", f"no verdict on {way}: {of}, from one seed only"
    if found.high < ENOUGH:
        return "not protected", f"not protected against {way}: {of}"
    if solved is not None:
        return "cannot be shown", f"this task cannot show protection against {way}: {solved}"
    if found.low >= ENOUGH:
        return "protected", f"protected against {way}: {of}"
    between = f"protection between {found.low:.0f} % and {found.high:.0f} %"
    return "undecided", f"undecided about {way}: {of}, {between}"
