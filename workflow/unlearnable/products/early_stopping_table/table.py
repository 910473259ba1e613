"""What early stopping gains a trainer: accuracy of the victims at the last, the best and a chosen step."""

from __future__ import annotations

from typing import Any

import pandas as pd

from unlearnable.products.early_stopping_table.settings import EarlyStoppingTable
from unlearnable.products.frames import by_noise_seed, frame, grouped, mean_and_sd, with_clean_at_largest_share
from unlearnable.products.product import Given, Inputs, TableFiles
from unlearnable.products.table import (
    ROW_AXES,
    about_countermeasures,
    join_sentences,
    number,
    plain_number,
    save_table,
    without_constant_axes,
)

ACCURACIES = {
    "last": "test_accuracy",
    "best": "best_test_accuracy",
    "stopped": "stopped_test_accuracy",
    "gain": "gain",
}


def write(given: Given[EarlyStoppingTable], inputs: Inputs, out: TableFiles) -> None:
    """The gain of early stopping: accuracy at the last step, at the best, and at the one that other images choose.

    Args:
        given: the victims.
        inputs: their metrics.
        out: files to write: one row per noise and way of training, in per cent. ``stopped`` is empty if no images
            chose a step; the gain is that of the best.
    """
    decimals = given.style.decimals
    data = with_clean_at_largest_share(by_noise_seed(frame(given.victims, inputs.victims)))
    data["gain"] = data["best_test_accuracy"] - data["test_accuracy"]
    axes = list(ROW_AXES)
    rows: list[dict[str, Any]] = []
    for key, group in grouped(data, [*axes, "label"]):
        row = dict(zip([*axes, "noise"], key, strict=True))
        for column, name in ACCURACIES.items():
            if name in group and group[name].notna().all():
                mean, sd, n = mean_and_sd(100 * group[name].astype(float))
                row |= {f"{column}_mean": mean, f"{column}_sd": sd, "n": n}
        rows.append(row | {"best_step": float(group["best_step"].mean())})
    table = pd.DataFrame(rows)
    columns = {"last": [number(row["last_mean"], row["last_sd"], row["n"], decimals) for row in rows]}
    if "stopped_mean" in table:
        columns["stopped"] = _plain(rows, "stopped", decimals)
    columns["best (peeking)"] = _plain(rows, "best", decimals)
    columns["step of best"] = [f"{row['best_step']:,.0f}" for row in rows]
    columns["gain of best, points"] = _plain(rows, "gain", decimals)
    text, fixed = without_constant_axes(table[[*axes, "noise"]].assign(**columns))
    caption = join_sentences(
        "Clean-test accuracy in per cent, mean ± standard deviation (number of seeds). Last: at the last step.",
        "Stopped: at the step that clean images choose which are left out of this accuracy."
        if "stopped" in text
        else "",
        "Best: at the step chosen on the very images of this accuracy, so it is too high; its step, as mean over "
        "seeds; and what it gains over the last.",
        about_countermeasures(table),
        fixed,
    )
    save_table(out, table, text, caption)


def _plain(rows: list[dict[str, Any]], column: str, decimals: int) -> list[str]:
    """Mean and standard deviation of each row; empty where they were not measured."""
    return [
        plain_number(row[f"{column}_mean"], row[f"{column}_sd"], decimals) if f"{column}_mean" in row else ""
        for row in rows
    ]
