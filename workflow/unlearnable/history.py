"""Training histories as Parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable import files


def write_history(path: str | Path, rows: list[dict[str, float]]) -> None:
    """Write one row for every measured step."""
    with files.atomic(path) as file:
        pq.write_table(pa.Table.from_pylist(rows), file)
