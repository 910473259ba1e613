"""Victims over their training steps: loss, accuracy on training batches, and accuracy on the clean test set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from unlearnable import files
from unlearnable.products.figure import (
    LINE,
    PANEL,
    drawing,
    legend_entries,
    looks,
    save_figure,
    set_title,
    title,
    training_kind,
)
from unlearnable.products.frames import by_noise_seed, grouped, labels, with_clean_at_every_share
from unlearnable.products.product import FigureFiles, Given, Inputs, VictimCell
from unlearnable.products.settings import FigureSettings

Style = TypeVar("Style", bound=FigureSettings)

FEW_WAYS = 4  # of training, up to which panels are stacked in one column
MARKS = 8  # markers on a curve: they distinguish curves in grey; more would hide them


def two_columns(given: Given[Style], inputs: Inputs, columns: dict[str, str], out: FigureFiles) -> None:
    """Two panels for each way of training, side by side: two columns of the histories, as means over seeds.

    If there are many ways, a row of the figure holds two of them.

    Args:
        given: the victims.
        inputs: their histories, and the metrics that contain the histories' hashes.
        columns: axis labels of the two columns.
        out: files to write.
    """
    style = given.style
    data = _read(given.victims, inputs.histories, inputs.history_metrics)
    chosen = looks(data["label"])
    data = with_clean_at_every_share(data)
    ways = list(grouped(data, [*PANEL, "radius"]))
    across = 1 if len(ways) <= FEW_WAYS else 2
    rows = math.ceil(len(ways) / across)
    titles = [[*title(data, dict(zip(PANEL, key, strict=True))), training_kind(radius)] for (*key, radius), _ in ways]
    if across == 1:
        titles = [[", ".join(lines[:-1]) + f": {lines[-1]}"] for lines in titles]
    # Narrow panels need the same room for text.
    height = 0.36 * style.width if across == 1 else 0.21 * style.width + 0.3 + LINE * max(map(len, titles))
    with mpl.rc_context(drawing(style)):
        figure = Figure(figsize=(style.width, height * rows))
        grid = figure.subplots(rows, 2 * across, squeeze=False).reshape(-1, 2)
        for unused in grid[len(ways) :].ravel():
            unused.set_axis_off()
        for pair, lines, (_, panel) in zip(grid, titles, ways, strict=False):
            for axes, (column, text) in zip(pair, columns.items(), strict=True):
                for place, (name, look) in enumerate(chosen.items()):
                    _curve(axes, panel[panel["label"] == name], column, place, look | {"label": name}, MARKS // across)
                if column == "loss":
                    _log_scale(axes)
                else:
                    axes.set_ylim(0, 100)
                axes.set_ylabel(text)
                axes.set_xlabel("training step")
                axes.xaxis.set_major_locator(
                    MaxNLocator(6 if across == 1 else 2, integer=True, steps=[1, 2, 4, 5, 8, 10])
                )
            set_title(pair[0], lines, style.width / across)
        handles, names = legend_entries(list(grid.ravel()), list(chosen))
        figure.tight_layout()
        fitting = max(1, int(style.width / (0.75 + 0.075 * max(map(len, names)))))
        across = min(len(names), fitting)
        figure.legend(handles, names, ncols=across, loc="upper center", bbox_to_anchor=(0.5, 0), handlelength=3.5)
        save_figure(out, figure, style.dpi)


def _log_scale(axes: Axes) -> None:
    """A logarithmic vertical axis with plain numbers, also between powers of ten if it spans less than one."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}") if high < 5 * low else NullFormatter())


def _read(cells: Sequence[VictimCell], histories: Sequence[Path], metrics: Sequence[Path]) -> pd.DataFrame:
    parts: list[pd.DataFrame] = []
    for cell, label, path, described in zip(cells, labels(cells), histories, metrics, strict=True):
        files.check_files(described, path)
        parts.append(pq.read_table(path).to_pandas().assign(**cell.model_dump(), label=label))
    return by_noise_seed(pd.concat(parts), "step")


def _curve(axes: Axes, data: pd.DataFrame, column: str, place: int, look: dict[str, Any], marks: int) -> None:
    """Mean over seeds of one noise, with a band of one standard deviation that stays positive for log scales."""
    line = (1 if column == "loss" else 100) * data.groupby("step")[column].agg(["mean", "std", "min"])
    if line.empty:
        return
    every = max(1, len(line) // marks)
    axes.plot(line.index, line["mean"], markevery=(place % every, every), markersize=4, **look)
    spread = line["std"].fillna(0)
    low = line["mean"] - spread
    if column == "loss":
        low = low.where(low > 0, line["min"])  # to the lowest seed
    axes.fill_between(line.index, low, line["mean"] + spread, color=look["color"], alpha=0.12, linewidth=0)
