"""Protected datasets as Parquet files of PNG images: written, then read back and measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable import files
from unlearnable.bounds import Bound
from unlearnable.datasets.encoded import MODES, Mapping, decode, encode, mapping
from unlearnable.datasets.parquet import parquet_batches
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import chunk_rows
from unlearnable.errors import UserError
from unlearnable.progress import Meter

ROW_GROUP = 1000  # images in a row group of the Parquet files


def schema(classes: list[str]) -> pa.Schema:
    """Columns, with metadata: ``datasets`` shows images and class names, pandas the class names."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {
        "image": {"_type": "Image"},
        "label": {"names": classes, "_type": "ClassLabel"},
        "index": {"dtype": "int64", "_type": "Value"},
        "protected": {"dtype": "bool", "_type": "Value"},
    }
    fields = [("image", image), ("label", pa.int64()), ("index", pa.int64()), ("protected", pa.bool_())]
    metadata = {
        "huggingface": json.dumps({"info": {"features": features}}),
        "PANDAS_ATTRS": json.dumps({"classes": classes}),  # pandas restores it as DataFrame.attrs
    }
    return pa.schema(fields, metadata=metadata)


def write_parquet(
    folder: Path,
    split: Split,
    protected: Array,
    rows_per_file: int,
    index: Array | None = None,
    threads: int = 1,
) -> dict[str, str]:
    """Write Parquet files with one PNG a row; only one row group at a time is in memory.

    Args:
        folder: to write into.
        split: the images and labels.
        protected: ``(N,)`` bool, the column of that name.
        rows_per_file: images per file.
        index: ``(N,)`` int64, each image's row in the clean dataset; by default, all rows in order.
        threads: number of images to encode at a time.

    Returns:
        SHA-256 of the files, by name.
    """
    index = np.arange(len(split.labels)) if index is None else index
    layout = schema(split.classes)
    starts = range(0, len(split.labels), rows_per_file)
    hashes = {}
    meter = Meter("image", len(split.labels), 1, "cpu")
    with mapping(threads, split.images.shape[1:]) as apply:
        for number, start in enumerate(starts):
            name = f"train-{number:05d}-of-{len(starts):05d}.parquet"
            stop = min(start + rows_per_file, len(split.labels))
            with (
                files.atomic(folder / name) as file,
                pq.ParquetWriter(file, layout, compression="none") as writer,  # PNGs do not compress further
            ):
                for first in range(start, stop, ROW_GROUP):
                    rows = slice(first, min(first + ROW_GROUP, stop))
                    paths = [f"{row:06d}.png" for row in index[rows]]
                    images = pa.StructArray.from_arrays(
                        [_encoded(split, rows, apply), paths], fields=list(layout[0].type)
                    )
                    columns = [images, split.labels[rows], index[rows], protected[rows]]
                    writer.write_table(pa.Table.from_arrays(columns, schema=layout))
                    meter.at(rows.stop, "into Parquet")
            hashes[name] = files.sha256(folder / name)
    return hashes


def _encoded(split: Split, rows: slice, apply: Mapping) -> pa.Array:
    """The images of a slice as PNGs, encoded piece by piece."""
    step = chunk_rows(split.images.shape[1:])
    pieces = [slice(start, min(start + step, rows.stop)) for start in range(rows.start, rows.stop, step)]
    return pa.concat_arrays([pa.array(list(apply(encode, split.images[piece])), pa.binary()) for piece in pieces])


@dataclass(frozen=True)
class Measured:
    """Measurements of the written files.

    Attributes:
        rows: number of images.
        largest_change: of any value of any image, in grey levels.
        largest_size: largest change of any image, in the unit of the bound.
    """

    rows: int
    largest_change: int
    largest_size: float


def measure(
    folder: Path,
    names: list[str],
    clean: Split,
    protected: Array,
    bound: Bound,
    index: Array | None = None,
    threads: int = 1,
) -> Measured:
    """Decode the written files and compare them with the clean images, piece by piece.

    Args:
        folder: of the Parquet files.
        names: of the files, in order.
        clean: the images that they should hold, without noise.
        protected: ``(N,)`` bool, which images may have changed.
        bound: limit of every image's change.
        index: ``(N,)`` int64, each image's row in the clean dataset; by default, all rows in order.
        threads: number of images to decode at a time.

    Raises:
        UserError: a row is missing, repeated or out of place; a label or an unprotected image changed; or a protected
            image exceeds the bound.
    """
    index = np.arange(len(clean.labels)) if index is None else index
    height, width, channels = shape = clean.images.shape[1:]
    rows, largest_change, largest_size = 0, 0, 0.0
    meter = Meter("image", len(clean.labels), 1, "cpu")
    with mapping(threads, shape) as apply:
        for name in names:
            for batch in parquet_batches(folder / name, ["image", "label", "index"], chunk_rows(shape)):
                images, labels, places = (batch[column].to_pylist() for column in ("image", "label", "index"))
                wheres = [f"{folder / name}, index {place}" for place in places]
                for row, (where, label, place) in enumerate(zip(wheres, labels, places, strict=True), start=rows):
                    if row >= len(index) or place != index[row] or label != clean.labels[row]:
                        raise UserError(
                            f"{where}: row {row} has index {place} and label {label}; write the dataset again"
                        )

                def pixels(image: dict[str, Any], where: str) -> Array:
                    return decode(image["bytes"], where, (width, height), MODES[channels])

                piece = slice(rows, rows + len(places))
                change = np.stack(list(apply(pixels, images, wheres))).astype(np.int16) - clean.images[piece]
                largest = np.abs(change).max(axis=(1, 2, 3))
                astray = np.flatnonzero((largest > 0) & ~protected[piece])
                if astray.size:
                    raise UserError(f"{wheres[astray[0]]}: an unprotected image changed by {largest[astray[0]]}/255")
                sizes = bound.sizes(change)
                beyond = bound.exceeded_by(change)
                if beyond is not None:
                    raise UserError(f"{wheres[beyond]}: a change of {sizes[beyond]:g} is beyond the bound, {bound}")
                largest_change = max(largest_change, int(largest.max()))
                largest_size = max(largest_size, float(sizes.max()))
                rows += len(places)
                meter.at(rows, "measured")
    if rows != len(clean.labels):
        raise UserError(f"{folder}: {rows} rows were written of {len(clean.labels)}")
    return Measured(rows, largest_change, largest_size)
