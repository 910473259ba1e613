"""Clean-test accuracy of the victims at the last step, beside published numbers."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from unlearnable.products.accuracy_table.settings import AccuracyTable
from unlearnable.products.budget import about_budgets
from unlearnable.products.frames import (
    by_noise_seed,
    frame,
    grouped,
    in_order,
    mean_and_sd,
    with_clean_at_largest_share,
)
from unlearnable.products.product import Given, Inputs, TableFiles
from unlearnable.products.reported import FU_2022, published_accuracies
from unlearnable.products.table import (
    ROW_AXES,
    about_countermeasures,
    join_sentences,
    number,
    save_table,
    without_constant_axes,
)

MEASURED = (
    *("test_accuracy", "best_test_accuracy", "stopped_test_accuracy"),
    *("train_accuracy", "robust_accuracy", "auto_attack_accuracy"),
)
ABOUT_AUTO_ATTACK = (
    "auto_attack_accuracy, in the CSV: under AutoAttack as in the Adversarial Robustness Toolbox, which lacks targeted "
    "APGD and FAB, so it is an upper bound and not comparable with RobustBench."
)
FAR = 3  # points; cells that differ more from a published accuracy are marked


def write(given: Given[AccuracyTable], inputs: Inputs, out: TableFiles) -> None:
    """Clean-test accuracy of the victims, one column per noise (Fu et al. 2022, Tables 1 to 3), beside published
    numbers.

    Args:
        given: the victims.
        inputs: their metrics.
        out: files to write. CSV: mean, sd, n of the last, best, stopped, train and robust accuracy; Fu et al.'s
            accuracy if there is one, the difference from it, and whether that exceeds 3 points. Text: last accuracy,
            in per cent, what kind of AutoAttack the CSV's accuracy was measured with, and the victims' budget.
    """
    data = frame(given.victims, inputs.victims)
    data["published"] = pd.Series(published_accuracies(given, data["training_passes"]), dtype=float)
    data = with_clean_at_largest_share(by_noise_seed(data))
    axes = list(ROW_AXES)
    rows: list[dict[str, Any]] = []
    for key, group in grouped(data, [*axes, "label"]):
        row = dict(zip([*axes, "noise"], key, strict=True))
        for name in MEASURED:
            if name in group and group[name].notna().any():
                mean, sd, n = mean_and_sd(100 * group[name].astype(float))
                row |= {f"{name}_mean": mean, f"{name}_sd": sd, "n": n}
        rows.append(row | _beside(row["test_accuracy_mean"], float(group["published"].mean(skipna=False))))
    table = pd.DataFrame(rows)
    cells = {tuple(row[name] for name in [*axes, "noise"]): _with_published(row, given.style.decimals) for row in rows}
    noises = list(dict.fromkeys(data["label"]))
    keys = in_order(data, axes)
    text = pd.DataFrame(keys, columns=axes)
    for noise in noises:
        text[noise] = [cells.get((*key, noise), "") for key in keys]
    text, fixed = without_constant_axes(text)
    caption = join_sentences(
        "Clean-test accuracy in per cent at the last step, mean ± standard deviation (number of seeds).",
        "Columns: the noise in the training images, rho_u-rho_a in 1/255.",
        _about_published(table),
        ABOUT_AUTO_ATTACK if "auto_attack_accuracy_mean" in table else "",
        about_countermeasures(table),
        fixed,
    )
    save_table(out, table, text, caption, about_budgets(given))


def _beside(measured: float, published: float) -> dict[str, Any]:
    """A published accuracy, the difference of the measured one, and whether that is large; empty without one."""
    if math.isnan(published):
        return {"published": math.nan, "difference": math.nan, "beyond_3_points": None}
    difference = measured - published
    return {"published": published, "difference": difference, "beyond_3_points": abs(difference) > FAR}


def _with_published(row: dict[str, Any], decimals: int) -> str:
    text = number(row["test_accuracy_mean"], row["test_accuracy_sd"], row["n"], decimals)
    if math.isnan(row["published"]):
        return text
    mark = " !" if row["beyond_3_points"] else ""
    return f"{text}; published {row['published']:.2f}, {row['difference']:+.{decimals}f}{mark}"


def _about_published(table: pd.DataFrame) -> str:
    if table["published"].isna().all():
        return ""
    marked = f" (exclamation mark: more than {FAR})" if table["beyond_3_points"].eq(True).any() else ""
    return f"Published: the accuracy of {FU_2022}; after it how many points the measured mean is away from it{marked}."
