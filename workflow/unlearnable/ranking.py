"""The benchmark's one table, and its picture: every noise against every way of training, the best protection first."""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearnable.figures import STYLE, save
from unlearnable.results import (
    CLEAN,
    CLEAN_REST,
    frame,
    grouped,
    in_order,
    mean_and_sd,
    records,
    trainer,
    with_clean_at_every_share,
)
from unlearnable.settings import render
from unlearnable.tables import (
    about_countermeasures,
    join_sentences,
    plain_number,
    without_constant_axes,
    write,
)

BLOCK = ["dataset", "network", "protected"]  # what is ranked together
COLOURS = "cividis"  # grows in lightness, so it reads in grey and without colour vision
HIGHEST, MEAN = "highest", "mean"


def ranking(cells: list[dict[str, Any]], metrics: list[str]) -> pd.DataFrame:
    """One row for every noise and way of training, in the order of the ranks.

    Noises are ranked by their worst case, the highest of their mean accuracies over the ways of training, which is what
    the trainer who knows the right counter-measure gets; where that is equal, by the mean over the ways of training.

    Args:
        cells: the victims' cells.
        metrics: their metrics files, in the same order.

    Returns:
        Columns: dataset, network, protected, ``rank`` (from 1; missing for clean images and for the clean rest, which
        follow the noises), noise, countermeasure, radius, trainer; in per cent mean, sd and n of the clean-test
        accuracy, and ``gap``, how far it is from that of clean images with the same trainer; and of the noise
        ``highest_mean``, ``highest_sd``, ``highest_by`` (a trainer), ``mean_mean`` and ``mean_sd`` (of each seed's mean
        over trainers).
    """
    data = with_clean_at_every_share(frame(cells, metrics))
    data["accuracy"] = 100 * data["test_accuracy"]
    ways = in_order(data, ["countermeasure", "radius"])
    rows: list[dict[str, Any]] = []
    for block, of_block in grouped(data, BLOCK):
        noises = [_noise(name, of_noise, ways) for (name,), of_noise in grouped(of_block, ["label"])]
        reference = {row["trainer"]: row["mean"] for rows_ in noises for row in rows_ if row["noise"] == CLEAN}
        ranked = sorted(noises, key=_by_protection)
        for place, of_noise in enumerate(ranked, 1):
            rank = None if of_noise[0]["noise"] in (CLEAN, CLEAN_REST) else place
            for row in of_noise:
                gap = row["mean"] - reference.get(row["trainer"], math.nan)
                rows.append(dict(zip(BLOCK, block, strict=True)) | {"rank": rank} | row | {"gap": gap})
    table = pd.DataFrame(rows)
    table["rank"] = table["rank"].astype("Int64")
    first = [*BLOCK, "rank", "noise", "countermeasure", "radius", "trainer", "mean", "sd", "n", "gap"]
    return table[[*first, *(name for name in table.columns if name not in first)]]


def _noise(name: str, data: pd.DataFrame, ways: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """A row for every way of training against one noise, each with what all of them say of the noise."""
    groups = dict(list(data.groupby(["countermeasure", "radius"], sort=False)))
    rows: list[dict[str, Any]] = []
    for way in filter(groups.__contains__, ways):
        mean, sd, n = mean_and_sd(groups[way]["accuracy"])
        countermeasure, radius = way
        row = {"noise": name, "countermeasure": countermeasure, "radius": radius, "trainer": trainer(*way)}
        rows.append(row | {"mean": mean, "sd": sd, "n": n})
    worst = max(rows, key=lambda row: row["mean"])
    mean, sd, _ = mean_and_sd(data.groupby("seed")["accuracy"].mean())
    summary = {"highest_mean": worst["mean"], "highest_sd": worst["sd"], "highest_by": worst["trainer"]}
    return [row | summary | {"mean_mean": mean, "mean_sd": sd} for row in rows]


def _by_protection(rows: list[dict[str, Any]]) -> tuple[bool, bool, float, float]:
    """Noises before the references, of which the clean images come last; the lower the accuracy, the earlier."""
    first = rows[0]
    noise = first["noise"]
    return noise == CLEAN, noise == CLEAN_REST, first["highest_mean"], first["mean_mean"]


def ranking_table(config: dict[str, Any], metrics: list[str], csv: str, markdown: str, latex: str) -> None:
    """All noises, ranked by how well they protect from every way of training, and clean images below them.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        metrics: the victims' metrics, in the order of the cells.
        csv: file to write: a row for every noise and way of training.
        markdown: file to write: a row for every noise.
        latex: file to write: the same.
    """
    style = render.Table(**config["style"])
    table = ranking(config["cells"], metrics)
    trainers = list(dict.fromkeys(trainer(*way) for way in in_order(table, ["countermeasure", "radius"])))
    counts = sorted(table["n"].unique())
    lines = []
    for _, rows in table.groupby([*BLOCK, "noise"], sort=False):
        first = rows.iloc[0]
        line = {axis: first[axis] for axis in BLOCK} | {"radius": 0, "countermeasure": "none"}
        line |= {"rank": "" if pd.isna(first["rank"]) else str(first["rank"]), "noise": first["noise"]}
        line[HIGHEST] = plain_number(first["highest_mean"], first["highest_sd"], style.decimals)
        line["by"] = first["highest_by"]
        line[MEAN] = plain_number(first["mean_mean"], first["mean_sd"], style.decimals)
        texts = {row["trainer"]: _cell(row, style.decimals) for row in records(rows)}
        lines.append(line | {name: texts.get(name, "") for name in trainers})
    text, fixed = without_constant_axes(pd.DataFrame(lines))
    text = text.drop(columns=[name for name in text.columns if name.startswith("victim's radius")])
    seeds = f"{counts[0]} seed(s)" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    caption = join_sentences(
        "Noises ranked by protection: clean-test accuracy in per cent at the last step of victims trained in each way, "
        f"mean ± standard deviation over {seeds}, and after the comma how many points that is from clean images with "
        "the same training. The lower, the better the protection. The rank goes by the highest of these accuracies, "
        "which is that of a trainer who knows the best counter-measure, then by their mean.",
        about_countermeasures(table),
        fixed,
    )
    write(table, text, csv, markdown, latex, caption)


def _cell(row: dict[str, Any], decimals: int) -> str:
    text = plain_number(row["mean"], row["sd"], decimals)
    return text if math.isnan(row["gap"]) or row["noise"] == CLEAN else f"{text}, {row['gap']:+.{decimals}f}"


def heat_map(config: dict[str, Any], metrics: list[str], pdf: str, svg: str, png: str) -> None:
    """The ranking as a picture: noises by ways of training, the accuracy as colour and as a number.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        metrics: the victims' metrics, in the order of the cells.
        pdf: file to write.
        svg: file to write.
        png: file to write.
    """
    style = render.Figure(**config["style"])
    table = ranking(config["cells"], metrics)
    blocks = list(table.groupby(BLOCK, sort=False))
    columns = [HIGHEST, MEAN, *(trainer(*way) for way in in_order(table, ["countermeasure", "radius"]))]
    names = [list(dict.fromkeys(block["noise"])) for _, block in blocks]
    left = 0.45 + 0.07 * max(len(name) for of_block in names for name in of_block)
    header = 0.1 + 0.045 * max(map(len, columns))  # the height of its slanted names
    right, row, footer = 0.75, 0.27, 0.32
    inner = style.width - left - right
    height = header + sum(len(of_block) * row + footer for of_block in names)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
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
        save(figure, pdf, svg, png, style.dpi)


def _title(block: tuple[Any, ...]) -> str:
    dataset, network, protected = block
    return f"{dataset}, {network}" + (f", {protected} % protected" if protected else "")


def _grid(block: pd.DataFrame, names: list[str], columns: list[str]) -> np.ndarray[Any, Any]:
    """Accuracies ``(noises, columns)``; nan where a noise was not trained on in a way."""
    values = block.pivot(index="noise", columns="trainer", values="mean").reindex(index=names, columns=columns)
    summaries = block.drop_duplicates("noise").set_index("noise")
    values[HIGHEST], values[MEAN] = summaries["highest_mean"], summaries["mean_mean"]
    return values.to_numpy(float)


def _write_numbers(axes: Axes, values: np.ndarray[Any, Any], size: float) -> None:
    """Each value on its cell."""
    for (row, column), value in np.ndenumerate(values):
        if not math.isnan(value):
            look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size, "color": text_colour(value)}
            axes.text(column, row, f"{value:.1f}", **look)


def text_colour(value: float) -> str:
    """Black or white: what reads on the cell of an accuracy in per cent."""
    red, green, blue, _ = mpl.colormaps[COLOURS](value / 100)
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.46 else "white"
