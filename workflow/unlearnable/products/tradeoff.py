"""Protection against cost: the passes that each noise took, and what victims learn from it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from unlearnable import files
from unlearnable.products.frames import frame, mean_and_sd, with_clean_at_every_share

Metrics = dict[str, tuple[list[Any], list[str]]]
AXES = ["dataset", "network", "protected", "countermeasure"]


def tradeoff(metrics: Metrics) -> pd.DataFrame:
    """One row for every dataset, network, share, counter-measure, noise and victim's radius.

    Args:
        metrics: the cells and metrics files of ``noise``, of ``source model`` (a cell for each noise, in the same
            order, or None where a noise has none; and the files of those that are there) and of ``victim``.

    Returns:
        Columns ``passes`` (source training and noise together, mean over seeds; 0 for clean images), and mean, sd and n
        of the clean-test accuracy in per cent.
    """
    noises = frame(*metrics["noise"])
    passes: dict[Any, float] = {}
    if not noises.empty:
        noises["passes"] += _source_passes(*metrics["source model"])
        passes = noises.groupby(["dataset", "label"])["passes"].mean().to_dict()
    rows = []
    victims = with_clean_at_every_share(frame(*metrics["victim"]))
    for key, group in victims.groupby([*AXES, "label", "radius"], sort=False):
        row = dict(zip([*AXES, "noise", "radius"], key, strict=True))
        mean, sd, n = mean_and_sd(100 * group["test_accuracy"])
        cost = passes.get((row["dataset"], row["noise"]), 0)
        rows.append(row | {"passes": cost, "accuracy_mean": mean, "accuracy_sd": sd, "n": n})
    return pd.DataFrame(rows)


def _source_passes(cells: list[Any], paths: list[str]) -> list[int]:
    """The passes of each noise's source model; 0 where it has none."""
    remaining = iter(paths)
    return [0 if cell is None else files.read_json(next(remaining))["passes"] for cell in cells]
