"""Noises by ways of training, the best protection first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unlearnable.products.frames import (
    CLEAN,
    CLEAN_REST,
    by_noise_seed,
    frame,
    grouped,
    in_order,
    mean_and_sd,
    trainer,
    with_clean_at_every_share,
)
from unlearnable.products.product import VictimCell
from unlearnable.products.statistics import highest_mean
from unlearnable.randomness import numpy_generator

BLOCK = ["dataset", "network", "protected"]  # ranked together
HIGHEST, MEAN = "highest", "mean"


def ranking(cells: Sequence[VictimCell], metrics: Sequence[Path]) -> pd.DataFrame:
    """One row per noise and way of training, in the order of the ranks.

    Noises are ranked by their worst case, the highest of their mean accuracies over the ways of training: the accuracy
    of a trainer with the best counter-measure; see ``statistics.highest_mean``. Ties are broken by the mean over the
    ways of training.

    Args:
        cells: the victims.
        metrics: their metrics files, in the same order.

    Returns:
        Columns: dataset, network, protected, ``rank`` (from 1; missing for clean images and for the clean rest, which
        follow the noises), noise, countermeasure, radius, trainer; in per cent mean, sd and n of the clean-test
        accuracy, and ``gap``, its difference from that of clean images with the same trainer; ``highest_share``, how
        often the trainer was the strongest in the bootstrap, 0..1; and for the noise ``highest`` with its 95 % interval
        ``highest_low`` to ``highest_high``, ``highest_by`` (the trainer of the highest mean), ``mean_mean`` (over
        trainers) and ``mean_sd`` (over the seeds that all trainers have, of each one's mean over trainers).
    """
    data = with_clean_at_every_share(by_noise_seed(frame(cells, metrics)))
    data["accuracy"] = 100 * data["test_accuracy"]
    ways = in_order(data, ["countermeasure", "radius"])
    rows: list[dict[str, Any]] = []
    for block, of_block in grouped(data, BLOCK):
        noises = [_noise(name, of_noise, ways) for (name,), of_noise in grouped(of_block, ["label"])]
        reference = {row["trainer"]: row["mean"] for rows_ in noises for row in rows_ if row["noise"] == CLEAN}
        ranked = sorted(noises, key=_by_protection)
        for place, of_noise in enumerate(ranked, 1):
            rank = None if of_noise[0]["noise"] in (CLEAN, CLEAN_REST) else place
            for row in of_noise:
                gap = row["mean"] - reference.get(row["trainer"], math.nan)
                rows.append(dict(zip(BLOCK, block, strict=True)) | {"rank": rank} | row | {"gap": gap})
    table = pd.DataFrame(rows)
    table["rank"] = table["rank"].astype("Int64")
    first = [*BLOCK, "rank", "noise", "countermeasure", "radius", "trainer", "mean", "sd", "n", "gap"]
    return table[[*first, *(name for name in table.columns if name not in first)]]


def _noise(name: str, data: pd.DataFrame, ways: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """One row per way of training against one noise, each with the noise's results over all of them."""
    groups = dict(list(data.groupby(["countermeasure", "radius"], sort=False)))
    rows: list[dict[str, Any]] = []
    for way in filter(groups.__contains__, ways):
        mean, sd, n = mean_and_sd(groups[way]["accuracy"])
        countermeasure, radius = way
        row = {"noise": name, "countermeasure": countermeasure, "radius": radius, "trainer": trainer(*way)}
        rows.append(row | {"mean": mean, "sd": sd, "n": n})
    accuracies = [groups[way].set_index("seed")["accuracy"] for way in filter(groups.__contains__, ways)]
    highest = highest_mean([dict(each) for each in accuracies], numpy_generator(0, "ranking"))
    of_seeds = pd.concat(accuracies, axis=1).dropna().mean(axis=1)
    summary = {
        **{"highest": highest.mean, "highest_low": highest.low, "highest_high": highest.high},
        "highest_by": max(rows, key=lambda row: row["mean"])["trainer"],
        **{"mean_mean": float(np.mean([row["mean"] for row in rows])), "mean_sd": float(of_seeds.std(ddof=1))},
    }
    return [row | summary | {"highest_share": share} for row, share in zip(rows, highest.shares, strict=True)]


def _by_protection(rows: list[dict[str, Any]]) -> tuple[bool, bool, float, float]:
    """Sort key: noises before references, clean images last; lower accuracy first."""
    first = rows[0]
    noise = first["noise"]
    return noise == CLEAN, noise == CLEAN_REST, first["highest"], first["mean_mean"]
