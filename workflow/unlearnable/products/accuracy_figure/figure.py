"""Accuracy against the victim's radius."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from unlearnable.products.accuracy_figure.settings import AccuracyFigure
from unlearnable.products.figure import (
    PANEL,
    accuracy_panels,
    drawing,
    legend_outside,
    looks,
    save_figure,
    title,
    training_kind,
)
from unlearnable.products.frames import by_noise_seed, count_of_seeds, frame, grouped, with_clean_at_every_share
from unlearnable.products.product import FigureFiles, Given, Inputs
from unlearnable.products.statistics import mean_interval

MOST_GROUPS = 2  # radii up to which bars are drawn in place of lines
SPREAD = 0.8  # of a radius's bars, as a share of the room for it


def write(given: Given[AccuracyFigure], inputs: Inputs, out: FigureFiles) -> None:
    """Clean-test accuracy against the victim's radius.

    Up to two radii are groups of bars, one for each noise, with 95 % t intervals and every seed's accuracy; more are
    lines, one for each noise, with standard deviations.

    Args:
        given: the victims.
        inputs: their metrics.
        out: files to write.
    """
    data = by_noise_seed(frame(given.victims, inputs.victims))
    chosen = looks(data["label"])
    data = with_clean_at_every_share(data)
    groups = list(grouped(data, PANEL))
    titles = [title(data, dict(zip(PANEL, key, strict=True))) for key, _ in groups]
    if len(groups) == 1:
        of_bars = data["radius"].nunique() <= MOST_GROUPS
        shown = "means, 95 % t intervals and all values" if of_bars else "mean ± s.d."
        titles[0][-1] += f": {shown} of {count_of_seeds(data)} seed(s)"
    with mpl.rc_context(drawing(given.style)):
        figure, all_axes = accuracy_panels(titles, given.style.width, 0.62)
        for axes, (_, panel) in zip(all_axes, groups, strict=True):
            radii = sorted(panel["radius"].unique().tolist())
            if len(radii) <= MOST_GROUPS:
                _bars(axes, panel, radii, chosen)
            else:
                _lines(axes, panel, radii, chosen)
                text = "victim's training radius (1/255)"
                axes.set_xlabel(text if len(groups) > 2 else f"{text}; 0 is standard training")
        figure.tight_layout()
        legend_outside(figure, all_axes, list(chosen))
        save_figure(out, figure, given.style.dpi)


def _lines(axes: Axes, panel: pd.DataFrame, radii: list[int], chosen: dict[str, dict[str, Any]]) -> None:
    for name, look in chosen.items():
        line = 100 * panel[panel["label"] == name].groupby("radius")["test_accuracy"].agg(["mean", "std"])
        axes.errorbar(line.index, line["mean"], line["std"].fillna(0), label=name, capsize=3, **look)
    axes.set_xticks(radii)


def _bars(axes: Axes, panel: pd.DataFrame, radii: list[int], chosen: dict[str, dict[str, Any]]) -> None:
    width = SPREAD / len(chosen)
    for group, radius in enumerate(radii):
        of_radius = panel[panel["radius"] == radius]
        for place, (name, look) in enumerate(chosen.items()):
            accuracies = 100 * of_radius.loc[of_radius["label"] == name, "test_accuracy"].to_numpy(dtype=float)
            if not accuracies.size:
                continue
            x = group + (place - (len(chosen) - 1) / 2) * width
            mean, lower, upper = mean_interval(accuracies)
            axes.bar(x, mean, 0.85 * width, color=look["color"], alpha=0.35, label=name)
            beside = np.full(accuracies.size, x + 0.2 * width)
            axes.plot(beside, accuracies, look["marker"], color=look["color"], markersize=2.5, alpha=0.7)
            if len(accuracies) > 1:
                half = [[mean - lower], [upper - mean]]
                axes.errorbar(x - 0.12 * width, mean, half, color="black", capsize=2.5, linewidth=1.2)
    axes.set_xticks(range(len(radii)), [training_kind(radius).replace(", ", "\n") for radius in radii])
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
