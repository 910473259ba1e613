"""Protection against cost, as a table."""

from __future__ import annotations

import pandas as pd

from unlearnable.products.product import Given, Inputs, TableFiles
from unlearnable.products.table import (
    ROW_AXES,
    about_countermeasures,
    join_sentences,
    number,
    save_table,
    without_constant_axes,
)
from unlearnable.products.tradeoff import AXES, tradeoff
from unlearnable.products.tradeoff_table.settings import TradeoffTable


def write(given: Given[TradeoffTable], inputs: Inputs, out: TableFiles) -> None:
    """One row per noise, the costliest first: its passes, and the victims' accuracy at each radius.

    Args:
        given: noises, their source models, and victims.
        inputs: the metrics of all of them.
        out: files to write.
    """
    table = tradeoff(given, inputs).sort_values(
        ["passes", "noise", "radius"], ascending=[False, True, True], kind="stable"
    )
    most = table.groupby("dataset")["passes"].transform("max")
    shown = table.assign(
        text=[
            number(mean, sd, n, given.style.decimals)
            for mean, sd, n in zip(table["accuracy_mean"], table["accuracy_sd"], table["n"], strict=True)
        ],
        kind=["standard" if radius == 0 else f"adversarial, {radius}/255" for radius in table["radius"]],
        cost=[f"{passes:,.0f}" for passes in table["passes"]],
        fewer=[f"{top / passes:.1f}" if passes else "" for top, passes in zip(most, table["passes"], strict=True)],
    )
    shown = shown.rename(columns={"cost": "passes", "fewer": "times fewer", "passes": "count"})
    axes = [*AXES, "noise", "passes", "times fewer"]
    kinds = list(dict.fromkeys(shown.sort_values("radius", kind="stable")["kind"]))
    text = shown.pivot(index=axes, columns="kind", values="text")[kinds].fillna("")
    text = text.reindex(pd.MultiIndex.from_frame(shown[axes].drop_duplicates())).reset_index()
    text, fixed = without_constant_axes(text.rename_axis(columns=None).assign(radius=""))
    text = text.drop(columns=ROW_AXES["radius"])
    caption = join_sentences(
        "Clean-test accuracy in per cent at the last step of standard and adversarial victims, mean ± standard "
        "deviation (number of seeds), against the cost of the noise: forward+backward passes over one batch, source "
        "training and noise together, and how many times fewer they are than those of the dataset's costliest noise.",
        fixed,
        about_countermeasures(table),
    )
    save_table(out, table, text, caption)
