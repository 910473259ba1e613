"""Noises against their references: paired differences, exact tests and protection."""

from __future__ import annotations

import math

import pandas as pd

from unlearnable.products.budget import about_budgets
from unlearnable.products.comparison_table.settings import ComparisonTable
from unlearnable.products.comparisons import AXES, MARGIN, NEAR_CHANCE, compare
from unlearnable.products.frames import records, trainer
from unlearnable.products.product import Given, Inputs, TableFiles
from unlearnable.products.statistics import ALPHA, smallest_p
from unlearnable.products.table import (
    about_countermeasures,
    join_sentences,
    number,
    save_table,
    without_constant_axes,
)


def write(given: Given[ComparisonTable], inputs: Inputs, out: TableFiles) -> None:
    """One row for each noise, way of training and reference, in the order of the experiment.

    Args:
        given: the victims, their references and the primary comparison.
        inputs: the victims' metrics.
        out: files to write. CSV: the columns of ``compared``.
    """
    table = compare(given, inputs)
    rows, decimals = records(table), given.style.decimals
    text = table[[*AXES, "noise"]].assign(
        accuracy=[number(row["accuracy_mean"], row["accuracy_sd"], row["accuracy_n"], decimals) for row in rows],
        reference=table["reference"],
        its=[number(row["reference_mean"], row["reference_sd"], row["reference_n"], decimals) for row in rows],
        difference=[_interval(row["difference"], row["low"], row["high"], decimals) for row in rows],
        p=[f"{_p(row['p'])} raw, primary" if row["primary"] else f"{_p(row['p_holm'])} Holm" for row in rows],
        equal=[_p(row["p_equal"]) for row in rows],
        protection=["" if math.isnan(row["protection"]) else f"{row['protection']:z.{decimals}f}" for row in rows],
    )
    names = {
        **{"accuracy": "accuracy, %", "its": "reference's, %", "difference": "difference, points [95 %]"},
        **{"equal": f"p, equal within {MARGIN}", "protection": "protection, %"},
    }
    text, fixed = without_constant_axes(text.rename(columns=names))
    caption = join_sentences(
        "Clean-test accuracy in per cent at the last step, mean ± standard deviation (number of noise seeds), of "
        "victims of each noise and of its reference; and the mean of the paired differences, by seed, with its 95 % t "
        "interval.",
        _about_p(table),
        _too_few(table),
        f"p, equal within {MARGIN}: two one-sided t tests, not adjusted; a small one means that the difference is "
        f"less than {MARGIN} points either way.",
        "Protection: (clean - accuracy) / (clean - chance) for the same trainer, empty where clean is within "
        f"{NEAR_CHANCE} points of chance.",
        about_countermeasures(table),
        fixed,
    )
    save_table(out, table, text, caption, about_budgets(given))


def _interval(mean: float, low: float, high: float, decimals: int) -> str:
    """A difference with its interval, if there is one, and the signs of all three."""
    text = f"{mean:+z.{decimals}f}"
    return text if math.isnan(low) else f"{text} [{low:+z.{decimals}f}, {high:+z.{decimals}f}]"


def _p(p: float) -> str:
    if math.isnan(p):
        return ""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _about_p(table: pd.DataFrame) -> str:
    """Which test, and how it is adjusted for which comparisons."""
    test = "p: exact two-sided sign-flip test of the paired differences"
    named = records(table[table["primary"]])
    if not named:
        return f"{test}, Holm-adjusted for all {len(table)} comparisons; no comparison was named primary."
    row = named[0]
    under = f"{trainer(row['countermeasure'], row['radius'])} training, {row['network']} on {row['dataset']}"
    primary = f"The primary comparison is {row['noise']} against {row['reference']} ({under})"
    others = len(table) - 1
    if not others:
        return f"{test}. {primary}."
    return f"{test}. {primary}: its p is raw, those of the {others} others are Holm-adjusted."


def _too_few(table: pd.DataFrame) -> str:
    """What the number of seeds rules out, whatever the differences are."""
    n = int(table["n"].min())
    smallest, others = smallest_p(n), int((~table["primary"]).sum())
    seeds = f"{n} seed" + "s" * (n > 1)
    if smallest >= ALPHA:
        enough = next(more for more in range(n, 64) if smallest_p(more) < ALPHA)
        return (
            f"With {seeds} no p can be below {ALPHA}, whatever the differences are: the smallest possible is "
            f"{_p(smallest)}. It takes at least {enough} seeds."
        )
    if others * smallest >= ALPHA:
        adjusted = f"{others} x {_p(smallest)}"
        return f"With {seeds} no Holm-adjusted p of {others} can be below {ALPHA}: the smallest is {adjusted}."
    return ""
