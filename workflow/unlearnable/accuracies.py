"""Tables of the victims' accuracy: at the last step, beside what was published, and at the best step."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from unlearnable.references import FU_2022, Published
from unlearnable.results import CLEAN, frame, grouped, in_order, mean_and_sd
from unlearnable.settings.render import Table
from unlearnable.tables import (
    ROW_AXES,
    about_countermeasures,
    join_sentences,
    number,
    plain_number,
    without_constant_axes,
    write,
)

MEASURED = ("test_accuracy", "best_test_accuracy", "train_accuracy", "robust_accuracy", "auto_attack_accuracy")
FAR = 3  # points from a published accuracy, beyond which a cell is marked


def accuracy_table(config: dict[str, Any], metrics: list[str], csv: str, markdown: str, latex: str) -> None:
    """Clean-test accuracy of the victims, a column for every noise (Fu et al. 2022, Tables 1 to 3), beside theirs.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        metrics: the victims' metrics, in the order of the cells.
        csv: file to write: mean, sd, n of the last and of the best accuracy, of train and robust accuracy; where there
            is one, Fu et al.'s accuracy, the difference from it, and whether that is beyond 3 points.
        markdown: file to write: last accuracy, in per cent.
        latex: file to write: the same.
    """
    style = Table(**config["style"])
    data = frame(config["cells"], metrics)
    published = Published(config["methods"], config["countermeasures"])
    pairs = zip(config["cells"], data["training_passes"], strict=True)
    data["published"] = pd.Series([published.accuracy(cell, passes) for cell, passes in pairs], dtype=float)
    data["protected"] = data["protected"].where(data["label"] != CLEAN, data["protected"].max())
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
    cells = {tuple(row[name] for name in [*axes, "noise"]): _with_published(row, style.decimals) for row in rows}
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
        about_countermeasures(table),
        fixed,
    )
    write(table, text, csv, markdown, latex, caption)


def _beside(measured: float, published: float) -> dict[str, Any]:
    """A published accuracy, how far the measured one is from it, and whether that is far; empty without one."""
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


def early_stopping_table(config: dict[str, Any], metrics: list[str], csv: str, markdown: str, latex: str) -> None:
    """What a trainer with clean data to judge by would gain by stopping early: last against best accuracy.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        metrics: the victims' metrics, in the order of the cells.
        csv: file to write: a row for every noise and way of training.
        markdown: file to write: the same, in per cent.
        latex: file to write: the same.
    """
    style = Table(**config["style"])
    data = frame(config["cells"], metrics)
    data["protected"] = data["protected"].where(data["label"] != CLEAN, data["protected"].max())
    data["gain"] = data["best_test_accuracy"] - data["test_accuracy"]
    axes = list(ROW_AXES)
    rows: list[dict[str, Any]] = []
    for key, group in grouped(data, [*axes, "label"]):
        row = dict(zip([*axes, "noise"], key, strict=True))
        for column, name in (("last", "test_accuracy"), ("best", "best_test_accuracy"), ("gain", "gain")):
            mean, sd, n = mean_and_sd(100 * group[name])
            row |= {f"{column}_mean": mean, f"{column}_sd": sd, "n": n}
        rows.append(row | {"best_step": float(group["best_step"].mean())})
    table = pd.DataFrame(rows)
    text = table[[*axes, "noise"]].assign(
        last=[number(row["last_mean"], row["last_sd"], row["n"], style.decimals) for row in rows],
        best=[plain_number(row["best_mean"], row["best_sd"], style.decimals) for row in rows],
        step=[f"{row['best_step']:,.0f}" for row in rows],
        gain=[plain_number(row["gain_mean"], row["gain_sd"], style.decimals) for row in rows],
    )
    text, fixed = without_constant_axes(text.rename(columns={"step": "step of best", "gain": "gain, points"}))
    caption = join_sentences(
        "Clean-test accuracy in per cent at the last step and at the best of the measured ones, mean ± standard "
        "deviation (number of seeds); the step of the best, as mean over seeds; and the gain: what stopping early "
        "would give a trainer who has clean data to judge by.",
        about_countermeasures(table),
        fixed,
    )
    write(table, text, csv, markdown, latex, caption)
