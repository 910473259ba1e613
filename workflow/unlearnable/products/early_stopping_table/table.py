"""Last against best accuracy of the victims."""

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


def write(given: Given[EarlyStoppingTable], inputs: Inputs, out: TableFiles) -> None:
    """The gain of early stopping for a trainer with clean test data: last against best accuracy.

    Args:
        given: the victims.
        inputs: their metrics.
        out: files to write: one row per noise and way of training, in per cent.
    """
    decimals = given.style.decimals
    data = with_clean_at_largest_share(by_noise_seed(frame(given.victims, inputs.victims)))
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
        last=[number(row["last_mean"], row["last_sd"], row["n"], decimals) for row in rows],
        best=[plain_number(row["best_mean"], row["best_sd"], decimals) for row in rows],
        step=[f"{row['best_step']:,.0f}" for row in rows],
        gain=[plain_number(row["gain_mean"], row["gain_sd"], decimals) for row in rows],
    )
    text, fixed = without_constant_axes(text.rename(columns={"step": "step of best", "gain": "gain, points"}))
    caption = join_sentences(
        "Clean-test accuracy in per cent at the last step and at the best of the measured ones, mean ± standard "
        "deviation (number of seeds); the step of the best, as mean over seeds; and the gain: what stopping early "
        "would give a trainer who has clean data to judge by.",
        about_countermeasures(table),
        fixed,
    )
    save_table(out, table, text, caption)
