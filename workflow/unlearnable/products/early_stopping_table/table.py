"""Last against best accuracy of the victims."""

from __future__ import annotations

from typing import Any

import pandas as pd

from unlearnable.products.frames import CLEAN, frame, grouped, mean_and_sd
from unlearnable.products.settings import Table
from unlearnable.products.table import (
    ROW_AXES,
    about_countermeasures,
    join_sentences,
    number,
    plain_number,
    without_constant_axes,
    write,
)


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
