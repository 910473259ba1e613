"""Cells and their metrics as data frames, from which every table and figure is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unlearnable import files
from unlearnable.products.product import NoiseCell, VictimCell
from unlearnable.recipe import READ, RECIPE

CLEAN = "clean"
CLEAN_REST = "clean rest"


def labels(cells: Sequence[NoiseCell]) -> list[str]:
    """Labels of the cells' methods in tables and figures: their names and, if they have any, radii in 1/255.

    A rho_a of 0 is included if the method also appears with another one. Clean images without a share of them are
    ``clean rest``: the unprotected part of a protected dataset, alone.
    """
    adversarial = {cell.method for cell in cells if cell.rho_a}
    return [_label(cell, with_rho_a=cell.method in adversarial) for cell in cells]


def _label(cell: NoiseCell, with_rho_a: bool) -> str:
    if cell.method == "clean":
        return CLEAN_REST if getattr(cell, "protected", 0) else CLEAN
    radii = f"{cell.rho_u}-{cell.rho_a}" if with_rho_a else str(cell.rho_u or "")
    return f"{cell.method.upper()} {radii}".rstrip()


def trainer(countermeasure: str, radius: int) -> str:
    """Label of a way of training: the counter-measure, and the radius of adversarial training in 1/255."""
    if radius == 0:
        return "standard" if countermeasure == "none" else countermeasure
    return f"{'adversarial' if countermeasure == 'none' else countermeasure} {radius}/255"


def frame(cells: Sequence[NoiseCell], metrics: Sequence[Path]) -> pd.DataFrame:
    """One row per cell, with its axes, its label, and the numbers of its metrics file.

    Args:
        cells: the measured cells.
        metrics: the metrics files, in the same order.

    Raises:
        UserError: a metrics file is damaged.
    """
    rows = zip(cells, labels(cells), metrics, strict=True)
    data = pd.DataFrame([cell.model_dump() | {"label": label} | files.read_json(path) for cell, label, path in rows])
    return data.drop(columns=[files.HASHES, RECIPE, READ], errors="ignore")


def records(data: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dicts."""
    return data.to_dict("records")  # type: ignore[return-value]


def mean_and_sd(values: pd.Series[float]) -> tuple[float, float, int]:
    """Mean, sample standard deviation (nan for a single value) and count."""
    return float(values.mean()), float(values.std(ddof=1)), len(values)


def by_noise_seed(data: pd.DataFrame, *further: str) -> pd.DataFrame:
    """One row for each noise seed: numbers are means over the victims of that noise, which are not replicates of it.

    Clean images have no noise: each of their victims keeps its row, and its ``seed`` is its own.

    Args:
        data: one row for each victim, with its axes and ``label``, as of ``frame``.
        further: more columns to tell rows apart, such as the step of a history.

    Returns:
        The same columns without ``victim_seed``, in the order of first appearance. A mean is nan if a value is.
    """
    if data.empty:
        return data
    axes = [*(name for name in VictimCell.model_fields if name != "victim_seed"), "label", *further]
    kept = data.drop(columns="victim_seed").reset_index(drop=True)
    if not kept.duplicated(axes).any():
        return kept
    groups = kept.groupby(axes, sort=False)
    measured = [name for name in kept.select_dtypes("number") if name not in axes]
    means = groups[measured].mean().where(groups[measured].count().eq(groups.size(), axis=0))
    others = groups[[name for name in kept if name not in {*axes, *measured}]].first()
    return pd.concat([means, others], axis=1).reset_index()[list(kept)]


def count_of_seeds(data: pd.DataFrame) -> int:
    """The number of noise seeds in ``data``; if all images are clean, that of their victims."""
    noisy = data[data["label"] != CLEAN]
    return int((data if noisy.empty else noisy)["seed"].nunique())


def with_clean_at_largest_share(data: pd.DataFrame) -> pd.DataFrame:
    """The same rows, with the clean reference (no share of it is protected) moved to the largest share."""
    return data.assign(protected=data["protected"].where(data["label"] != CLEAN, data["protected"].max()))


def with_clean_at_every_share(data: pd.DataFrame) -> pd.DataFrame:
    """The same rows, with the clean reference (no share of it is protected) repeated at every share of the others.

    Grouping by share then gives every group the reference.
    """
    clean = data["label"] == CLEAN
    shares = sorted(data.loc[~clean, "protected"].unique())
    if not shares:
        return data
    return pd.concat([data[~clean], *(data[clean].assign(protected=share) for share in shares)])


def in_order(data: pd.DataFrame, axes: list[str]) -> list[tuple[Any, ...]]:
    """The combinations of ``axes`` in ``data``: names in order of first appearance, numbers in ascending order."""
    ranks = {
        axis: {
            value: value if isinstance(value, int) else place
            for place, value in enumerate(data[axis].unique().tolist())
        }
        for axis in axes
    }
    found = data[axes].drop_duplicates().itertuples(index=False, name=None)
    return sorted(found, key=lambda values: [ranks[axis][value] for axis, value in zip(axes, values, strict=True)])


def grouped(data: pd.DataFrame, axes: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Each combination of ``axes`` and its rows, in the order of ``in_order``."""
    groups = dict(list(data.groupby(axes, sort=False)))
    yield from ((key, groups[key]) for key in in_order(data, axes))
