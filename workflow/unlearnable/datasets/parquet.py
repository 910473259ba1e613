"""Parquet files, read strictly and a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable.errors import UserError

INFLATION = 4  # compression of a column beyond which it is suspected; encoded images hardly compress
READ_AHEAD = 2**20  # bytes of a column read at once, rather than a whole row group


def parquet_metadata(path: Path) -> pq.FileMetaData:
    """What a Parquet file states about its columns, rows and sizes.

    Raises:
        UserError: the file is damaged or not Parquet.
    """
    try:
        return pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from error


def require_unpackable(path: Path, column: str, limit: int) -> int:
    """Make sure that no row group of a column unpacks to much more than it takes in the file.

    Args:
        path: of the Parquet file.
        column: its name; with a dot, one field of a column of structs.
        limit: bytes up to which a row group may unpack, however small it is in the file.

    Returns:
        The unpacked bytes of the largest row group, which no value exceeds.

    Raises:
        UserError: the file is damaged or not Parquet, or a row group is packed too densely.
    """
    metadata, largest = parquet_metadata(path), 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = [group.column(place) for place in range(group.num_columns)]
        chunks = [chunk for chunk in chunks if chunk.path_in_schema == column]
        stored = sum(chunk.total_compressed_size for chunk in chunks)
        unpacked = sum(chunk.total_uncompressed_size for chunk in chunks)
        largest = max(largest, unpacked)
        if unpacked > max(limit, INFLATION * stored):
            raise UserError(
                f"{path}, row group {number}: column {column!r} unpacks from {stored:,} to {unpacked:,} bytes, more "
                f"than the {limit:,} allowed; write smaller row groups, or do not compress the images again"
            )
    return largest


def parquet_batches(path: Path, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """The columns of a Parquet file, at most ``rows`` rows at a time, in the order of the file.

    Raises:
        UserError: the file is damaged or not Parquet.
    """
    try:
        with pq.ParquetFile(path, buffer_size=READ_AHEAD, pre_buffer=False) as file:  # else it keeps all that it read
            yield from file.iter_batches(rows, columns=columns, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from error
