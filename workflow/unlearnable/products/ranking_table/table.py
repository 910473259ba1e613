"""Noises ranked by protection."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from unlearnable.products.frames import CLEAN, in_order, records, trainer
from unlearnable.products.product import Given, Inputs, TableFiles
from unlearnable.products.ranking import BLOCK, HIGHEST, MEAN, ranking
from unlearnable.products.ranking_table.settings import RankingTable
from unlearnable.products.table import (
    about_countermeasures,
    join_sentences,
    plain_number,
    save_table,
    with_interval,
    without_constant_axes,
)


def write(given: Given[RankingTable], inputs: Inputs, out: TableFiles) -> None:
    """All noises, ranked by how well they protect against every way of training, and clean images below them.

    Args:
        given: the victims.
        inputs: their metrics.
        out: files to write. CSV: one row per noise and way of training. Text: one row per noise.
    """
    decimals = given.style.decimals
    table = ranking(given.victims, inputs.victims)
    trainers = list(dict.fromkeys(trainer(*way) for way in in_order(table, ["countermeasure", "radius"])))
    counts = sorted(table["n"].unique())
    lines = []
    for _, rows in table.groupby([*BLOCK, "noise"], sort=False):
        first = rows.iloc[0]
        line = {axis: first[axis] for axis in BLOCK} | {"radius": 0, "countermeasure": "none"}
        line |= {"rank": "" if pd.isna(first["rank"]) else str(first["rank"]), "noise": first["noise"]}
        line[HIGHEST] = with_interval(first["highest"], first["highest_low"], first["highest_high"], decimals)
        line["by"] = _strongest(rows)
        line[MEAN] = plain_number(first["mean_mean"], first["mean_sd"], decimals)
        texts = {row["trainer"]: _cell(row, decimals) for row in records(rows)}
        lines.append(line | {name: texts.get(name, "") for name in trainers})
    text, fixed = without_constant_axes(pd.DataFrame(lines))
    text = text.drop(columns=[name for name in text.columns if name.startswith("victim's radius")])
    seeds = f"{counts[0]} seed(s)" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    caption = join_sentences(
        "Noises ranked by protection: clean-test accuracy in per cent at the last step of victims trained in each way, "
        f"mean ± standard deviation over {seeds}, and after the comma how many points that is from clean images with "
        "the same training. The lower, the better the protection. The rank goes by the highest of these accuracies, "
        "which is that of a trainer who knows the best counter-measure, then by their mean. The highest of several "
        "measured means tends to lie above the highest mean: a bootstrap over the seeds takes that off, and gives its "
        "95 % interval and how often the trainer was the strongest.",
        about_countermeasures(table),
        fixed,
    )
    save_table(out, table, text, caption)


def _strongest(rows: pd.DataFrame) -> str:
    """The strongest trainer, and in how many of the resamples it was."""
    named = rows[rows["trainer"] == rows["highest_by"]].iloc[0]
    share = named["highest_share"]
    return str(named["trainer"]) if math.isnan(share) else f"{named['trainer']} ({100 * share:.0f} %)"


def _cell(row: dict[str, Any], decimals: int) -> str:
    text = plain_number(row["mean"], row["sd"], decimals)
    return text if math.isnan(row["gap"]) or row["noise"] == CLEAN else f"{text}, {row['gap']:+.{decimals}f}"
