"""Protection against cost: the passes that each noise took, and what victims learn from it."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from unlearnable import files
from unlearnable.figures import STYLE, legend_outside, looks, save, set_title, title, training_kind
from unlearnable.results import frame, grouped, mean_and_sd, with_clean_at_every_share
from unlearnable.settings import render
from unlearnable.tables import (
    ROW_AXES,
    about_countermeasures,
    join_sentences,
    number,
    without_constant_axes,
    write,
)

Metrics = dict[str, tuple[list[Any], list[str]]]
AXES = ["dataset", "network", "protected", "countermeasure"]


def tradeoff(metrics: Metrics) -> pd.DataFrame:
    """One row for every dataset, network, share, counter-measure, noise and victim's radius.

    Args:
        metrics: the cells and metrics files of ``noise``, of ``source model`` (a cell for each noise, in the same
            order, or None where a noise has none; and the files of those that are there) and of ``victim``.

    Returns:
        Columns ``passes`` (source training and noise together, mean over seeds; 0 for clean images), and mean, sd and n
        of the clean-test accuracy in per cent.
    """
    noises = frame(*metrics["noise"])
    passes: dict[Any, float] = {}
    if not noises.empty:
        noises["passes"] += _source_passes(*metrics["source model"])
        passes = noises.groupby(["dataset", "label"])["passes"].mean().to_dict()
    rows = []
    victims = with_clean_at_every_share(frame(*metrics["victim"]))
    for key, group in victims.groupby([*AXES, "label", "radius"], sort=False):
        row = dict(zip([*AXES, "noise", "radius"], key, strict=True))
        mean, sd, n = mean_and_sd(100 * group["test_accuracy"])
        cost = passes.get((row["dataset"], row["noise"]), 0)
        rows.append(row | {"passes": cost, "accuracy_mean": mean, "accuracy_sd": sd, "n": n})
    return pd.DataFrame(rows)


def _source_passes(cells: list[Any], paths: list[str]) -> list[int]:
    """The passes of each noise's source model; 0 where it has none."""
    remaining = iter(paths)
    return [0 if cell is None else files.read_json(next(remaining))["passes"] for cell in cells]


def tradeoff_table(config: dict[str, Any], metrics: Metrics, csv: str, markdown: str, latex: str) -> None:
    """A row for every noise, the costliest first: its passes, and the victims' accuracy at each radius.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them.
        metrics: as for ``tradeoff``.
        csv: file to write.
        markdown: file to write.
        latex: file to write.
    """
    style = render.Table(**config["style"])
    table = tradeoff(metrics).sort_values(["passes", "noise", "radius"], ascending=[False, True, True], kind="stable")
    most = table.groupby("dataset")["passes"].transform("max")
    shown = table.assign(
        text=[
            number(mean, sd, n, style.decimals)
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
    write(table, text, csv, markdown, latex, caption)


def tradeoff_figure(config: dict[str, Any], metrics: Metrics, pdf: str, svg: str, png: str) -> None:
    """Accuracy against passes: a point for every noise, a panel for every radius, a line for what takes no passes.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them.
        metrics: as for ``tradeoff``.
        pdf: file to write.
        svg: file to write.
        png: file to write.
    """
    style = render.Figure(**config["style"])
    data = tradeoff(metrics)
    chosen = looks(list(dict.fromkeys(data["noise"])))
    rows = list(grouped(data, AXES))
    radii = sorted(data["radius"].unique())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(style.width, 0.42 * style.width * len(rows)))
        grid = figure.subplots(len(rows), len(radii), squeeze=False, sharey=True)
        for axes_row, (key, panel) in zip(grid, rows, strict=True):
            named = title(data, dict(zip(AXES, key, strict=True)))
            for axes, radius in zip(axes_row, radii, strict=True):
                shown = panel[panel["radius"] == radius]
                if shown.empty:  # a counter-measure that is not combined with this radius
                    axes.set_axis_off()
                    continue
                for row in shown.itertuples():
                    look = chosen[row.noise]
                    spread = 0 if pd.isna(row.accuracy_sd) else row.accuracy_sd
                    if row.passes:
                        point = look | {"linestyle": "", "capsize": 3, "label": row.noise}
                        axes.errorbar(row.passes, row.accuracy_mean, spread, **point)
                    else:
                        line = {"color": look["color"], "linestyle": look["linestyle"], "label": row.noise}
                        axes.axhline(row.accuracy_mean, **line)
                axes.set_xscale("log")
                low, high = axes.get_xlim()
                subs = (1, 2, 5) if high < 50 * low else (1, 3) if high < 1000 * low else (1,)
                axes.xaxis.set_major_locator(LogLocator(subs=subs))
                axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
                axes.xaxis.set_minor_formatter(NullFormatter())
                axes.set_ylim(0, 100)
                axes.set_xlabel("passes for the noise")
                set_title(axes, [*named, training_kind(radius)], style.width / len(radii))
            axes_row[0].set_ylabel("clean-test accuracy (%)")
        figure.tight_layout()
        legend_outside(figure, list(grid.ravel()), list(chosen))
        save(figure, pdf, svg, png, style.dpi)
