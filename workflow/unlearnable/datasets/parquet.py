"""Parquet files, read strictly and a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable.errors import UserError

READ_AHEAD = 2**20  # bytes of a column read at once, rather than a whole row group


def parquet_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet file.

    Raises:
        UserError: the file is damaged or not Parquet.
    """
    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from error


def parquet_batches(path: Path, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """The columns of a Parquet file, at most ``rows`` rows at a time, in the order of the file.

    Raises:
        UserError: the file is damaged or not Parquet.
    """
    try:
        with pq.ParquetFile(path, buffer_size=READ_AHEAD) as file:
            yield from file.iter_batches(rows, columns=columns, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from error
