"""The ranking as a picture."""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearnable.products.figure import drawing, save_figure
from unlearnable.products.frames import in_order, trainer
from unlearnable.products.heat_map.settings import HeatMap
from unlearnable.products.product import FigureFiles, Given, Inputs
from unlearnable.products.ranking import BLOCK, HIGHEST, MEAN, ranking

COLOURS = "cividis"  # increases in lightness, so it is readable in grey and without colour vision


def write(given: Given[HeatMap], inputs: Inputs, out: FigureFiles) -> None:
    """The ranking as a picture: noises by ways of training, the accuracy as colour and as a number.

    Args:
        given: the victims.
        inputs: their metrics.
        out: files to write.
    """
    style = given.style
    table = ranking(given.victims, inputs.victims)
    blocks = list(table.groupby(BLOCK, sort=False))
    columns = [HIGHEST, MEAN, *(trainer(*way) for way in in_order(table, ["countermeasure", "radius"]))]
    names = [list(dict.fromkeys(block["noise"])) for _, block in blocks]
    left = 0.45 + 0.07 * max(len(name) for of_block in names for name in of_block)
    header = 0.1 + 0.045 * max(map(len, columns))  # height of the slanted names
    right, row, footer = 0.75, 0.27, 0.32
    inner = style.width - left - right
    height = header + sum(len(of_block) * row + footer for of_block in names)
    with mpl.rc_context(drawing(style) | {"axes.grid": False}):
        figure = Figure(figsize=(style.width, height))
        top = height - header
        for place, ((key, block), of_block) in enumerate(zip(blocks, names, strict=True)):
            bottom = top - len(of_block) * row
            axes = figure.add_axes((left / style.width, bottom / height, inner / style.width, (top - bottom) / height))
            values = _grid(block, of_block, columns)
            image = axes.imshow(values, cmap=COLOURS, vmin=0, vmax=100, aspect="auto", interpolation="nearest")
            _write_numbers(axes, values, size=min(8.0, inner * 72 / len(columns) / 2.9))
            axes.set_xticks(range(len(columns)), columns if place == 0 else [""] * len(columns), fontsize=8)
            axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
            for name in axes.get_xticklabels():
                name.set(rotation=40, ha="left", rotation_mode="anchor")
            axes.set_yticks(range(len(of_block)), of_block, fontsize=8)
            ranks = block.drop_duplicates("noise")["rank"]
            for y, rank in enumerate(ranks):
                if not pd.isna(rank):
                    where = (-(left - 0.05) / inner, y)
                    axes.text(
                        *where, f"{rank}", transform=axes.get_yaxis_transform(), ha="left", va="center", fontsize=8
                    )
            axes.axvline(1.5, color="white", linewidth=4)
            references = int(ranks.isna().sum())
            if 0 < references < len(of_block):
                axes.axhline(len(of_block) - references - 0.5, color="white", linewidth=4)
            for spine in axes.spines.values():
                spine.set_visible(False)
            axes.set_xlabel(_title(key), fontsize=9, loc="left")
            top = bottom - footer
        first = len(names[0]) * row
        bar_at = (1 - (right - 0.12) / style.width, 1 - (header + first) / height, 0.14 / style.width, first / height)
        bar = figure.colorbar(image, cax=figure.add_axes(bar_at))
        bar.set_label("clean-test accuracy (%)")
        bar.outline.set_visible(False)
        save_figure(out, figure, style.dpi)


def _title(block: tuple[Any, ...]) -> str:
    dataset, network, protected = block
    return f"{dataset}, {network}" + (f", {protected} % protected" if protected else "")


def _grid(block: pd.DataFrame, names: list[str], columns: list[str]) -> np.ndarray[Any, Any]:
    """Accuracies ``(noises, columns)``; nan if there is no victim for a noise and a way of training."""
    values = block.pivot(index="noise", columns="trainer", values="mean").reindex(index=names, columns=columns)
    summaries = block.drop_duplicates("noise").set_index("noise")
    values[HIGHEST], values[MEAN] = summaries["highest"], summaries["mean_mean"]
    return values.to_numpy(float)


def _write_numbers(axes: Axes, values: np.ndarray[Any, Any], size: float) -> None:
    """Each value on its cell."""
    for (row, column), value in np.ndenumerate(values):
        if not math.isnan(value):
            look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size, "color": text_colour(value)}
            axes.text(column, row, f"{value:.1f}", **look)


def text_colour(value: float) -> str:
    """Black or white, whichever is readable on the cell of an accuracy in per cent."""
    red, green, blue, _ = mpl.colormaps[COLOURS](value / 100)
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.46 else "white"
