"""Figures as PDF, SVG and PNG, all in one style that reads in grey and without colour vision."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unlearnable import files
from unlearnable.data import dataset, published
from unlearnable.data.images import Array
from unlearnable.results import frame, label
from unlearnable.settings import render

# Okabe and Ito's colours, dark enough on white, in an order whose greys differ too.
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")  # one more than colours, so that pairs repeat late
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "savefig.bbox": "tight",
    "svg.hashsalt": "unlearnable",  # the same figure is the same bytes
    "pdf.fonttype": 42,
}
NO_DATE: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def save(figure: Figure, pdf: str, svg: str, png: str, dpi: int) -> None:
    """Write a figure in three formats, without a date in any."""
    for path, kind in ((pdf, "pdf"), (svg, "svg"), (png, "png")):
        with files.atomic(Path(path)) as file:
            figure.savefig(file, format=kind, dpi=dpi, metadata=NO_DATE[kind])


def looks(labels: list[str]) -> dict[str, dict[str, Any]]:
    """A colour, a marker and a line style for each label, always the same for the same list."""
    styles = zip(labels, cycle(COLOURS), cycle(MARKERS), cycle(LINES), strict=False)
    return {name: {"color": colour, "marker": marker, "linestyle": line} for name, colour, marker, line in styles}


def accuracy_figure(config: dict[str, Any], metrics: list[str], pdf: str, svg: str, png: str) -> None:
    """Clean-test accuracy against the victim's radius: a line for every noise, with standard deviations.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        metrics: the victims' metrics, in the order of the cells.
        pdf: file to write.
        svg: file to write.
        png: file to write.
    """
    style = render.Figure(**config["style"])
    data = frame(config["cells"], metrics)
    chosen = looks(list(dict.fromkeys(data["label"])))
    panels = list(data.groupby(["dataset", "network"], sort=False))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(style.width, 0.62 * style.width * len(panels)))
        for number, ((dataset_name, network), panel) in enumerate(panels, 1):
            axes = figure.add_subplot(len(panels), 1, number)
            for name, look in chosen.items():
                line = 100 * panel[panel["label"] == name].groupby("radius")["test_accuracy"].agg(["mean", "std"])
                axes.errorbar(line.index, line["mean"], line["std"].fillna(0), label=name, capsize=3, **look)
            axes.set_xticks(sorted(panel["radius"].unique()))
            axes.set_ylim(0, 100)
            axes.set_xlabel("victim's training radius (1/255); 0 is standard training")
            axes.set_ylabel("clean-test accuracy (%)")
            seeds = panel["seed"].nunique()
            axes.set_title(f"{dataset_name}, {network}: mean ± s.d. of {seeds} seed(s)", loc="left", fontsize=9)
            axes.legend(title="noise", loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3.5)
        figure.tight_layout()
        save(figure, pdf, svg, png, style.dpi)


def training_curves(config: dict[str, Any], histories: list[str], pdf: str, svg: str, png: str) -> None:
    """Accuracy over the steps of the victims: on their own training batches and on the clean test set.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        histories: the victims' histories, in the order of the cells.
        pdf: file to write.
        svg: file to write.
        png: file to write.
    """
    style = render.Figure(**config["style"])
    parts = []
    for cell, path in zip(config["cells"], histories, strict=True):
        parts.append(pq.read_table(path).to_pandas().assign(**cell, label=label(cell)))
    data = pd.concat(parts)
    chosen = looks(list(dict.fromkeys(data["label"])))
    rows = list(data.groupby(["dataset", "network", "radius"], sort=False))
    columns = {"batch_accuracy": "on training batches (%)", "test_accuracy": "on the clean test set (%)"}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(style.width, 0.36 * style.width * len(rows)))
        grid = figure.subplots(len(rows), 2, squeeze=False, sharey=True, sharex="row")
        for axes_row, ((dataset_name, network, radius), panel) in zip(grid, rows, strict=True):
            kind = "standard training" if radius == 0 else f"adversarial training, radius {radius}/255"
            for axes, (column, text) in zip(axes_row, columns.items(), strict=True):
                for name, look in chosen.items():
                    line = 100 * panel[panel["label"] == name].groupby("step")[column].agg(["mean", "std"])
                    plain = {key: value for key, value in look.items() if key != "marker"}
                    axes.plot(line.index, line["mean"], label=name, **plain)
                    low, high = line["mean"] - line["std"].fillna(0), line["mean"] + line["std"].fillna(0)
                    axes.fill_between(line.index, low, high, color=look["color"], alpha=0.12, linewidth=0)
                axes.set_ylim(0, 100)
                axes.set_ylabel(f"accuracy {text}")
                axes.set_xlabel("training step")
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes_row[0].set_title(f"{dataset_name}, {network}: {kind}", loc="left", fontsize=9)
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.tight_layout()
        figure.legend(handles, names, ncols=len(names), loc="upper center", bbox_to_anchor=(0.5, 0), handlelength=3.5)
        save(figure, pdf, svg, png, style.dpi)


def noise_sheet(config: dict[str, Any], perturbed: list[str], source: str, pdf: str, svg: str, png: str) -> None:
    """The first protected image of each class, the noise in it (amplified around grey) and what was published.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the published datasets' cells.
        perturbed: their folders, in the order of the cells.
        source: folder of the clean dataset.
        pdf: file to write.
        svg: file to write.
        png: file to write.
    """
    style = render.NoiseSheet(**config["style"])
    clean = dataset.load(source, "train")
    published_images = [published.load(path).images for path in perturbed]
    changed = np.ones(len(clean.labels), bool)
    if published_images:  # at one seed every method protects the same images, so one of them tells which
        changed = (published_images[0] != clean.images).any(axis=(1, 2, 3))
    firsts = [np.flatnonzero(changed & (clean.labels == y))[:1] for y in range(len(clean.classes))]
    shown = np.concatenate(firsts)[: style.images]
    originals = clean.images[shown]
    rows: list[tuple[str, Array]] = [("original", originals)]
    for cell, whole in zip(config["cells"], published_images, strict=True):
        change = whole[shown].astype(np.int16) - originals
        factor = 127 / cell["rho_u"]
        amplified = np.clip(127.5 + factor * change, 0, 255).astype(np.uint8)
        rows += [(f"{label(cell)}\nnoise x{factor:.3g}", amplified), (f"{label(cell)}\nprotected", whole[shown])]
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        side = style.width / (len(shown) + 1.4)
        figure = Figure(figsize=(style.width, side * 1.08 * (len(rows) + 0.4)))
        grid = figure.subplots(len(rows), len(shown), squeeze=False)
        for (text, images), axes_row in zip(rows, grid, strict=True):
            for column, (axes, image) in enumerate(zip(axes_row, images, strict=True)):
                axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set_visible(False)
                if text == "original":
                    axes.set_title(clean.classes[clean.labels[shown[column]]], fontsize=6)
            axes_row[0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=7)
        figure.subplots_adjust(wspace=0.05, hspace=0.05)
        save(figure, pdf, svg, png, style.dpi)
