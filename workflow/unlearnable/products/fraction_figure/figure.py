"""Accuracy against the share of protected images (Fu et al. 2022, Table 2)."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from unlearnable.products.figure import (
    accuracy_panels,
    drawing,
    legend_outside,
    looks,
    save_figure,
    title,
    training_kind,
)
from unlearnable.products.fraction_figure.settings import FractionFigure
from unlearnable.products.frames import CLEAN, by_noise_seed, frame, grouped
from unlearnable.products.product import FigureFiles, Given, Inputs
from unlearnable.products.reported import published_accuracies

PANEL = ["dataset", "network", "countermeasure", "radius"]
HOLLOW: dict[str, Any] = {"markerfacecolor": "none", "markersize": 6, "markeredgewidth": 1.0, "linestyle": ""}
BESIDE = 2.5  # per cent by which published markers are shifted right, so that measured ones do not hide them


def write(given: Given[FractionFigure], inputs: Inputs, out: FigureFiles) -> None:
    """Clean-test accuracy against the protected share: one line per noise, and one for the clean rest alone.

    Every line begins at a share of 0, with the clean reference. Hollow markers, slightly to the right of the measured
    ones, are Fu et al.'s.

    Args:
        given: the victims.
        inputs: their metrics.
        out: files to write.
    """
    data = frame(given.victims, inputs.victims)
    data["published"] = pd.Series(published_accuracies(given, data["training_passes"]), dtype=float)
    data = by_noise_seed(data)
    chosen = looks(data["label"])
    groups = list(grouped(data, PANEL))
    no_share = data.assign(protected=0)
    titles = [[*title(no_share, dict(zip(PANEL, key, strict=True))), training_kind(key[-1])] for key, _ in groups]
    with mpl.rc_context(drawing(given.style)):
        figure, all_axes = accuracy_panels(titles, given.style.width, 0.62)
        for axes, (_, panel) in zip(all_axes, groups, strict=True):
            clean = panel[panel["label"] == CLEAN]
            for name, look in chosen.items():
                _line(axes, panel[panel["label"] == name], clean, name, look)
            axes.set_xlim(-4, 106)
            axes.set_xticks(sorted({0, *panel["protected"].tolist()}))
            axes.set_xlabel("protected training images (%)")
        figure.tight_layout()
        if data["published"].notna().any():
            all_axes[-1].plot([], [], label="published", **HOLLOW | {"marker": "o", "color": "#666666"})
        legend_outside(figure, all_axes, list(chosen))
        save_figure(out, figure, given.style.dpi)


def _line(axes: Axes, data: pd.DataFrame, clean: pd.DataFrame, name: str, look: dict[str, Any]) -> None:
    """A noise's mean accuracies over shares, from the clean reference on, and the published ones."""
    if data.empty:
        return
    line = 100 * data.groupby("protected")["test_accuracy"].agg(["mean", "std"])
    axes.errorbar(line.index, line["mean"], line["std"].fillna(0), label=name, capsize=3, **look)
    if name != CLEAN and len(clean):
        start = [100 * clean["test_accuracy"].mean(), line["mean"].iloc[0]]
        axes.plot([0, line.index[0]], start, **look | {"marker": ""})
    theirs = data.groupby("protected")["published"].first().dropna()
    if len(theirs):
        axes.plot(theirs.index + BESIDE, theirs, clip_on=False, **look | HOLLOW)
