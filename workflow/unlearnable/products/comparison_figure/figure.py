"""Paired differences from the references, as a forest plot."""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearnable.products.comparison_figure.settings import ComparisonFigure
from unlearnable.products.comparisons import compare
from unlearnable.products.figure import COLOURS, drawing, save_figure
from unlearnable.products.frames import grouped, records, trainer
from unlearnable.products.product import FigureFiles, Given, Inputs

BLOCK = ["dataset", "network", "protected"]
WAY = ["countermeasure", "radius"]
ROW = 0.2  # inches
OTHER: dict[str, Any] = {"color": COLOURS[0], "marker": "o", "linestyle": "", "capsize": 2}
PRIMARY: dict[str, Any] = OTHER | {"color": COLOURS[1], "marker": "*", "markersize": 11}


def write(given: Given[ComparisonFigure], inputs: Inputs, out: FigureFiles) -> None:
    """One row for each noise and way of training, one column for each reference.

    Args:
        given: the victims, their references and the primary comparison.
        inputs: the victims' metrics.
        out: files to write.
    """
    style = given.style
    table = compare(given, inputs)
    references = list(dict.fromkeys(table["reference"]))
    blocks = [(key, block, _lines(block)) for key, block in grouped(table, BLOCK)]
    heights = [ROW * len(lines) for _, _, lines in blocks]
    with mpl.rc_context(drawing(style)):
        figure = Figure(figsize=(style.width, sum(heights) + 0.45 * len(blocks) + 0.6), layout="constrained")
        grid = figure.subplots(
            len(blocks), len(references), squeeze=False, sharex=True, sharey="row", height_ratios=heights
        )
        for panels, (key, block, lines) in zip(grid, blocks, strict=True):
            for axes, reference in zip(panels, references, strict=True):
                _draw(axes, block[block["reference"] == reference], lines)
                axes.set_title(f"against {reference}", fontsize=9)
            _name_rows(panels[0], lines)
            panels[0].set_ylabel(_title(table, key), fontsize=9)
        low, high = grid[0, 0].get_xlim()
        grid[0, 0].set_xlim(max(low, -100), min(high, 100))  # the interval of two seeds can be wider than that
        seeds = f"{table['n'].max()} seed(s)"
        figure.supxlabel(f"difference in clean-test accuracy, points: mean and 95 % t interval of {seeds}", fontsize=9)
        if table["primary"].any():
            handle = grid[0, 0].errorbar([], [], **PRIMARY)
            figure.legend([handle], ["primary comparison"], loc="outside upper right")
        save_figure(out, figure, style.dpi)


Line = tuple[str, int, str]  # counter-measure, radius and noise; no noise in the heading of a way of training


def _lines(block: pd.DataFrame) -> list[Line]:
    """The lines of a panel from top to bottom."""
    lines: list[Line] = []
    for (countermeasure, radius), rows in grouped(block, WAY):
        names = dict.fromkeys(rows["noise"])
        lines += [(countermeasure, radius, ""), *((countermeasure, radius, noise) for noise in names)]
    return lines


def _draw(axes: Axes, rows: pd.DataFrame, lines: list[Line]) -> None:
    axes.axvline(0, color="#666666", linewidth=1, linestyle="--")
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    places = {line: place for place, line in enumerate(lines)}
    for row in records(rows):
        place = places[(row["countermeasure"], row["radius"], row["noise"])]
        spread = 0 if math.isnan(row["low"]) else row["high"] - row["difference"]  # no interval of a single seed
        axes.errorbar(row["difference"], place, xerr=spread, **(PRIMARY if row["primary"] else OTHER))


def _name_rows(axes: Axes, lines: list[Line]) -> None:
    names = [noise or trainer(countermeasure, radius) for countermeasure, radius, noise in lines]
    axes.set_yticks(range(len(lines)), names)
    for label, (_, _, noise) in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if noise else "bold")


def _title(table: pd.DataFrame, block: tuple[Any, ...]) -> str:
    dataset, network, protected = block
    share = f"\n{protected} % protected" if table["protected"].nunique() > 1 else ""
    return f"{dataset}, {network}{share}"
