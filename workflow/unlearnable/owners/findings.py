"""What an audit found: the rows of its tables, and one line that sums them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from unlearnable.products.frames import records


@dataclass(frozen=True)
class Row:
    """One way of training, or one classifier without a network. Numbers are in per cent.

    Attributes:
        trainer: in words.
        originals: accuracy after training on the originals; None if it was not measured.
        release: likewise on the release.
        protection: None for classifiers without a network, and where nothing was learnt.
        low: end of its 95 % interval; None without one.
        high: likewise.
        seeds: number of trainings.
        finding: of the audit-table; empty for classifiers without a network.
        verdict: in words; may be empty.
    """

    trainer: str
    originals: float | None
    release: float | None
    protection: float | None
    low: float | None
    high: float | None
    seeds: int
    finding: str
    verdict: str


def read(tables: Sequence[Path]) -> list[Row]:
    """The rows of audit-tables, in their order: ways of training first, then classifiers without a network."""
    rows = [_row(each) for path in tables for each in records(pd.read_csv(path))]
    return sorted(rows, key=lambda row: not row.finding)


def _row(values: dict[str, object]) -> Row:
    def number(name: str) -> float | None:
        value = values.get(name)
        return value if isinstance(value, float) and not pd.isna(value) else None

    def text(name: str) -> str:
        value = values[name]
        return value if isinstance(value, str) else ""

    return Row(
        trainer=text("trainer"),
        originals=number("originals_mean"),
        release=number("release_mean"),
        protection=number("protection"),
        low=number("low"),
        high=number("high"),
        seeds=int(str(values["n"])),
        finding=text("finding"),
        verdict=text("verdict"),
    )


def verdict(rows: Sequence[Row]) -> str:
    """One line on all ways of training that were tried."""
    counts = Counter(row.finding for row in rows if row.finding)
    ways = counts.total()
    if counts["protected"] == ways:
        return f"Protected against all {ways} ways of training that were tried."
    if counts["not protected"]:
        return f"Not protected against {counts['not protected']} of {ways} ways of training that were tried."
    if counts["cannot be shown"]:
        return "This task cannot show protection: a colour histogram solves it."
    if counts["no verdict"] == ways:
        return "No verdict on any way of training; the lines for each say why."
    return (
        f"Undecided: protected against {counts['protected']} of {ways} ways of training, the rest is undecided; "
        "more images or more seeds would tell."
    )


def lines(rows: Sequence[Row]) -> list[str]:
    """The verdict on each way of training, and what small classifiers reach."""
    found = [f"{row.verdict[0].upper()}{row.verdict[1:]}." for row in rows if row.finding]
    for row in rows:
        if not row.finding:
            shares = [("on the originals", row.originals), ("on the release", row.release)]
            reached = ", ".join(f"{value:.0f} % {where}" for where, value in shares if value is not None)
            found.append(f"{row.trainer[0].upper()}{row.trainer[1:]}: {reached}.")
    return found
