"""Accuracy against the victim's radius."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np

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


def write(given: Given[AccuracyFigure], inputs: Inputs, out: FigureFiles) -> None:
    """Clean-test accuracy against the victim's radius: one line per noise, with standard deviations.

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
        titles[0][-1] += f": mean ± s.d. of {count_of_seeds(data)} seed(s)"
    with mpl.rc_context(drawing(given.style)):
        figure, all_axes = accuracy_panels(titles, given.style.width, 0.62)
        for axes, (_, panel) in zip(all_axes, groups, strict=True):
            radii = sorted(panel["radius"].unique().tolist())
            for place, (name, look) in enumerate(chosen.items()):
                line = 100 * panel[panel["label"] == name].groupby("radius")["test_accuracy"].agg(["mean", "std"])
                x = line.index if len(radii) > 1 else np.full(len(line), place)  # a single radius: side by side
                axes.errorbar(x, line["mean"], line["std"].fillna(0), label=name, capsize=3, **look)
            if len(radii) > 1:
                axes.set_xticks(radii)
                text = "victim's training radius (1/255)"
                axes.set_xlabel(text if len(groups) > 2 else f"{text}; 0 is standard training")
            else:
                axes.set_xticks([])
                axes.set_xlabel(training_kind(radii[0]))
        figure.tight_layout()
        legend_outside(figure, all_axes, list(chosen))
        save_figure(out, figure, given.style.dpi)
