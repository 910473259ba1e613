"""Cells and their metrics as data frames: what every table and figure starts from."""

from __future__ import annotations

from typing import Any

import pandas as pd

from unlearnable import files


def label(cell: dict[str, Any]) -> str:
    """What a method is called in a table or figure: its name and, where it has them, its radii in 1/255."""
    if cell["method"] == "clean":
        return "clean"
    radii = str(cell["rho_u"]) + (f"-{cell['rho_a']}" if cell["rho_a"] else "")
    return f"{cell['method'].upper()} {radii}"


def frame(cells: list[dict[str, Any]], metrics: list[str]) -> pd.DataFrame:
    """One row for every cell, with its axes, its label, and the numbers of its metrics file.

    Args:
        cells: the axes of each cell.
        metrics: the metrics files, in the same order.
    """
    rows = [cell | {"label": label(cell)} | files.read_json(path) for cell, path in zip(cells, metrics, strict=True)]
    return pd.DataFrame(rows)


def mean_and_sd(values: pd.Series[float]) -> tuple[float, float, int]:
    """Mean, sample standard deviation (nan for a single value) and count."""
    return float(values.mean()), float(values.std(ddof=1)), len(values)
