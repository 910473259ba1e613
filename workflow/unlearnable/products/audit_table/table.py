"""A release against its originals: trained networks, a colour histogram, and classifiers of the noise alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unlearnable.datasets.shards import load
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.products.audit_table.classifiers import histogram_accuracy, noise_accuracies
from unlearnable.products.audit_table.settings import AuditTable
from unlearnable.products.audit_table.verdicts import (
    ENOUGH,
    NEAR_HISTOGRAM,
    protection,
    solved_by_histogram,
    verdict,
)
from unlearnable.products.budget import about_budgets
from unlearnable.products.frames import CLEAN, frame, grouped, mean_and_sd, records
from unlearnable.products.product import Given, Inputs, TableFiles
from unlearnable.products.statistics import Values
from unlearnable.products.table import join_sentences, number, plain_number, save_table

WAY = ["network", "countermeasure", "radius"]


def write(given: Given[AuditTable], inputs: Inputs, out: TableFiles) -> None:
    """One row for each release and way of training, then one for each classifier without a network.

    Args:
        given: the victims; the first dataset holds the originals, every other one a release of them.
        inputs: the victims' metrics, and the datasets' manifests.
        out: files to write. CSV: the columns that the caption in the report explains, and ``release``, ``trainer``,
            ``network``, ``size`` (in pixels), ``countermeasure``, ``radius``, ``test_images``, ``chance``, ``finding``.

    Raises:
        UserError: there is no release, or it has other training images than the originals.
    """
    data = frame(given.victims, inputs.victims)
    data = data[data["label"] == CLEAN]
    if data["dataset"].nunique() < AuditTable.fewest_datasets:
        raise UserError(
            f"experiment {given.experiment}: audit-table needs victims of the method clean on two datasets, the "
            "originals and then a release of them"
        )
    originals, *releases = data["dataset"].unique().tolist()
    folders = {name: path.parent for name, path in zip(data["dataset"].unique(), inputs.datasets, strict=True)}
    rows = [
        {"release": release} | row
        for release in releases
        for row in _audited(data, originals, release, folders, 100 / given.classes[originals])
    ]
    table = pd.DataFrame(rows)
    decimals = given.style.decimals
    rows = records(table)
    text = pd.DataFrame(
        {
            "release": table["release"],
            "trainer": table["trainer"],
            "originals, %": [_accuracy(row, "originals", decimals) for row in rows],
            "release, %": [_accuracy(row, "release", decimals) for row in rows],
            "protection, % [95 %]": [_protection(row, decimals) for row in rows],
            "verdict": table["verdict"],
        }
    )
    if len(releases) == 1:
        text = text.drop(columns="release")
    caption = join_sentences(
        "Accuracy on held-out originals in per cent at the last step, mean ± standard deviation (number of seeds), of "
        "networks trained on the originals and on the release.",
        "Protection: (originals - release) / (originals - chance), with its 95 % interval over seeds and test images.",
        f"Protected: all of the interval is at least {ENOUGH} %; not protected: all of it is below.",
        f"A task solved by a colour histogram (within {NEAR_HISTOGRAM} points of a network) cannot show protection.",
        "Classifiers of the noise see the change alone, and are tested on changes that they have not seen.",
        f"Test images: {int(table['test_images'].iloc[0])}; chance: {table['chance'].iloc[0]:.{decimals}f} %.",
    )
    save_table(out, table, text, caption, about_budgets(given))


def _audited(
    data: pd.DataFrame, originals: str, release: str, folders: dict[str, Path], chance: float
) -> Iterator[dict[str, Any]]:
    """The rows of one release."""
    trains = {name: load(folders[name], "train") for name in (originals, release)}
    tests = load(folders[originals], "test")
    size = trains[originals].images.shape[1]
    histograms = {name: 100 * histogram_accuracy(train, tests) for name, train in trains.items()}
    solved = solved_by_histogram(histograms[originals], _best_standard(data, originals))
    for key, group in grouped(data[data["dataset"].isin(trains)], WAY):
        of = {name: its.set_index("victim_seed")["test_accuracy"] for name, its in group.groupby("dataset")}
        seeds = of[originals].index
        taught, released = (100 * of[name].loc[seeds].to_numpy(np.float64) for name in trains)
        test_images = int(group["test_images"].iloc[0])
        found = protection(taught, released, chance, test_images)
        network, countermeasure, radius = key
        way = f"{_way(countermeasure, radius)} ({network}, {size} pixels)"
        finding, line = verdict(way, taught.mean(), released.mean(), chance, found, solved)
        yield {
            **{"trainer": way, **dict(zip(WAY, key, strict=True)), "size": size},
            **_summary("originals", taught),
            **_summary("release", released),
            **{"n": len(seeds), "test_images": test_images, "chance": chance},
            **{"protection": found.mean, "low": found.low, "high": found.high},
            **{"finding": finding, "verdict": line},
        }
    yield {
        **{"trainer": f"colour histogram ({size} pixels)", "size": size},
        **{"originals_mean": histograms[originals], "release_mean": histograms[release]},
        **{"n": 1, "test_images": len(tests.labels), "chance": chance, "verdict": solved or ""},
    }
    *accuracies_of_noise, tested = _of_noise(trains[originals], trains[release], release)
    for name, accuracy in zip(("linear", "two-layer"), accuracies_of_noise, strict=True):
        yield {
            **{"trainer": f"{name} classifier of the noise alone ({size} pixels)", "size": size},
            **{"release_mean": 100 * accuracy, "n": 1, "test_images": tested, "chance": chance, "verdict": ""},
        }


def _best_standard(data: pd.DataFrame, originals: str) -> float:
    """The accuracy of the best network after standard training on the originals, in per cent; nan without one."""
    standard = (data["dataset"] == originals) & (data["countermeasure"] == "none") & (data["radius"] == 0)
    return 100 * float(data[standard].groupby("network")["test_accuracy"].mean().max())


def _of_noise(originals: Split, release: Split, name: str) -> tuple[float, float, int]:
    try:
        return noise_accuracies(originals, release)
    except ValueError as error:
        raise UserError(f"dataset {name}: {error}, in the same order; list them so in both indices") from error


def _way(countermeasure: str, radius: int) -> str:
    """A way of training in words."""
    of = "standard training" if not radius else f"adversarial training within {radius}/255"
    return of if countermeasure == "none" else f"{of} with {countermeasure}"


def _summary(name: str, accuracies: Values) -> dict[str, float]:
    mean, sd, _ = mean_and_sd(pd.Series(accuracies))
    return {f"{name}_mean": mean, f"{name}_sd": sd}


def _accuracy(row: dict[str, Any], of: str, decimals: int) -> str:
    """Mean, deviation and number of seeds; a classifier without a network has the mean alone."""
    mean = row[f"{of}_mean"]
    if pd.isna(row["network"]):
        return plain_number(mean, math.nan, decimals)
    return number(mean, row[f"{of}_sd"], int(row["n"]), decimals)


def _protection(row: dict[str, Any], decimals: int) -> str:
    if math.isnan(row["protection"]):
        return ""
    text = f"{row['protection']:z.{decimals}f}"
    return text if math.isnan(row["low"]) else f"{text} [{row['low']:z.{decimals}f}, {row['high']:z.{decimals}f}]"
