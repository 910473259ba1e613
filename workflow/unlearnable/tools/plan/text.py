"""Numbers and tables as text."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate


def count(number: int) -> str:
    """A whole number: 1,234."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """A time in a suitable unit: 40 s, 12 min, 3.4 h, 1,234 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:,.0f} h" if hours >= 100 else f"{hours:.1f} h"


def bytes_text(number: float) -> str:
    """Bytes in a suitable unit: 512 B, 3.4 MB, 1,234 GB."""
    units = ["B", "kB", "MB", "GB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        units.pop(0)
    digits = 0 if units[0] == "B" or number >= 100 else 1
    return f"{number:,.{digits}f} {units[0]}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first to the left, the others to the right."""
    aligned = ["left", *["right"] * (len(headers) - 1)]
    text: str = tabulate(rows, headers, tablefmt="simple", colalign=aligned, disable_numparse=True)
    return text
