"""Protection against cost: the passes of each noise, and the accuracy of its victims."""

from __future__ import annotations

from typing import Any

import pandas as pd

from unlearnable.products.frames import by_noise_seed, frame, mean_and_sd, with_clean_at_every_share
from unlearnable.products.product import Given, Inputs, Style

AXES = ["dataset", "network", "protected", "countermeasure"]


def tradeoff(given: Given[Style], inputs: Inputs) -> pd.DataFrame:
    """One row per dataset, network, share, counter-measure, noise and victim's radius.

    Args:
        given: noises, their source models, and victims.
        inputs: the metrics of all of them.

    Returns:
        Columns ``passes`` (source training and noise together, mean over seeds; 0 for clean images), and mean, sd and n
        of the clean-test accuracy in per cent.
    """
    noises = frame(given.noises, inputs.noises)
    passes: dict[Any, float] = {}
    if not noises.empty:
        of_source = dict(zip(given.sources, frame(given.sources, inputs.sources).get("passes", ()), strict=True))
        noises["passes"] += [0 if source is None else of_source[source] for source in given.source_of_noise]
        passes = noises.groupby(["dataset", "label"])["passes"].mean().to_dict()
    rows = []
    victims = with_clean_at_every_share(by_noise_seed(frame(given.victims, inputs.victims)))
    for key, group in victims.groupby([*AXES, "label", "radius"], sort=False):
        row = dict(zip([*AXES, "noise", "radius"], key, strict=True))
        mean, sd, n = mean_and_sd(100 * group["test_accuracy"])
        cost = passes.get((row["dataset"], row["noise"]), 0)
        rows.append(row | {"passes": cost, "accuracy_mean": mean, "accuracy_sd": sd, "n": n})
    return pd.DataFrame(rows)
