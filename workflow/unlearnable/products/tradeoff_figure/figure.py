"""Protection against cost, as a figure."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from unlearnable.products.figure import drawing, legend_outside, looks, save_figure, set_title, title, training_kind
from unlearnable.products.frames import grouped
from unlearnable.products.product import FigureFiles, Given, Inputs
from unlearnable.products.tradeoff import AXES, tradeoff
from unlearnable.products.tradeoff_figure.settings import TradeoffFigure


def write(given: Given[TradeoffFigure], inputs: Inputs, out: FigureFiles) -> None:
    """Accuracy against passes: one point per noise, one panel per radius, lines for noises without passes.

    Args:
        given: noises, their source models, and victims.
        inputs: the metrics of all of them.
        out: files to write.
    """
    style = given.style
    data = tradeoff(given, inputs)
    chosen = looks(data["noise"])
    rows = list(grouped(data, AXES))
    radii = sorted(data["radius"].unique())
    with mpl.rc_context(drawing(style)):
        figure = Figure(figsize=(style.width, 0.42 * style.width * len(rows)))
        grid = figure.subplots(len(rows), len(radii), squeeze=False, sharey=True)
        for axes_row, (key, panel) in zip(grid, rows, strict=True):
            named = title(data, dict(zip(AXES, key, strict=True)))
            for axes, radius in zip(axes_row, radii, strict=True):
                shown = panel[panel["radius"] == radius]
                if shown.empty:  # a counter-measure not combined with this radius
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
        save_figure(out, figure, style.dpi)
