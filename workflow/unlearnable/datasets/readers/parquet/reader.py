"""Parquet files of encoded images and labels, one or several per split, as dataset hubs store them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable.datasets import class_names
from unlearnable.datasets.parquet import parquet_batches, parquet_schema
from unlearnable.datasets.readers import _checked_files
from unlearnable.datasets.readers._decoding import Encoded, Fit, decoded
from unlearnable.datasets.readers.parquet.settings import ParquetDataset
from unlearnable.datasets.size import COUNTED, Size
from unlearnable.datasets.split import Array
from unlearnable.datasets.stream import Stream, chunk_rows
from unlearnable.errors import UserError

LABELS_AT_ONCE = 2**16
NUMBERED = re.compile(r"(.*)-(\d{5})-of-(\d{5})(-\w+)?\.parquet")  # last group: a hash added by some hubs


def read(dataset: ParquetDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read ``train*.parquet`` and ``test*.parquet``; arguments and errors as for ``datasets.read.read``."""
    folder = root / dataset.root
    names = {split: split_files(folder, split) for split in ("train", "test")}
    hashes = _checked_files.checked_hashes(folder, [*names["train"], *names["test"]], dataset.sha256)
    train, test = (_stream(dataset, folder, names[split], f"{dataset.root}, {split} split") for split in names)
    return train, test, {"kind": "parquet", "root": dataset.root, "sha256": hashes}


def size_hint(dataset: ParquetDataset, root: Path) -> Size:
    """The number of rows of the files, from their footers.

    Raises:
        UserError: a file is missing or damaged.
    """
    train, test = (_rows(root / dataset.root, split) for split in ("train", "test"))
    return Size(train, test, COUNTED)


def _rows(folder: Path, split: str) -> int:
    """The number of images in the files of a split."""
    paths = [folder / name for name in split_files(folder, split)]
    if not paths[0].is_file():
        raise UserError(f"{paths[0]}: no such file")
    try:
        return sum(pq.read_metadata(path).num_rows for path in paths)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{folder}: {split}*.parquet are not all readable Parquet files ({error})") from error


def split_files(folder: Path, split: str) -> list[str]:
    """The files of a split, in order; if there are none, ``SPLIT.parquet``, so that an error names it.

    Raises:
        UserError: there are several that do not form one numbered set, or a file of the set is missing.
    """
    names = sorted(path.name for path in folder.glob(f"{split}*.parquet")) or [f"{split}.parquet"]
    numbered = [match for name in names if (match := NUMBERED.fullmatch(name))]
    if len(names) > 1 and len(numbered) < len(names):
        raise UserError(f"{folder}: {', '.join(names)} are more than one set of the {split} split; keep one of them")
    if not numbered:
        return names
    beginning, _, count, suffix = numbered[0].groups()
    missing = set(range(int(count)))
    of_set = f"the {split} split is {int(count)} files"
    for match in numbered:
        if match.group(1, 3) != (beginning, count) or int(match[2]) not in missing:
            raise UserError(f"{folder / match[0]}: this file does not belong to the same set as the others; {of_set}")
        missing.remove(int(match[2]))
    if missing:
        name = f"{beginning}-{min(missing):05d}-of-{count}{'-*' if suffix else ''}.parquet"
        raise UserError(f"{folder / name}: this file is missing; {of_set}")
    return names


def _stream(dataset: ParquetDataset, folder: Path, names: list[str], where: str) -> Stream:
    fit = Fit(dataset.image_size, dataset.channels, dataset.resize == "squash")
    paths = [folder / name for name in names]
    labels = np.concatenate([_labels(dataset, path) for path in paths])
    return Stream(where, labels, lambda: decoded(_images(dataset, paths, fit), len(labels), where, fit))


def _labels(dataset: ParquetDataset, path: Path) -> Array:
    """The labels of one file, ``(n,)`` int64, after checking its columns and class names."""
    schema = parquet_schema(path)
    for column in (dataset.image_column, dataset.label_column):
        if column not in schema.names:
            raise UserError(f"{path}: no column {column!r}; it has {', '.join(schema.names)}")
    kind = schema.field(dataset.image_column).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise UserError(f"{path}: column {dataset.image_column!r} holds {kind}, not encoded images")
    whole = pa.types.is_integer(schema.field(dataset.label_column).type)
    batches = list(parquet_batches(path, [dataset.label_column], LABELS_AT_ONCE)) if whole else []
    if not whole or any(batch.column(0).null_count for batch in batches):
        raise UserError(f"{path}: column {dataset.label_column!r} must hold whole numbers without gaps")
    for names in _names(schema, dataset.label_column):
        class_names.require_same(names, dataset.classes, str(path))
    return np.concatenate([np.empty(0, np.int64), *(batch.column(0).to_numpy().astype(np.int64) for batch in batches)])


def _names(schema: pa.Schema, label_column: str) -> Iterator[list[str]]:
    """The class names in a file's metadata: those for Hugging Face's ``datasets``, and those that pandas keeps."""
    described = _metadata(schema, b"huggingface")
    for key in ("info", "features", label_column, "names"):
        described = described.get(key) if isinstance(described, dict) else None
    attributes = _metadata(schema, b"PANDAS_ATTRS")
    for names in (described, attributes.get("classes") if isinstance(attributes, dict) else None):
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            yield names


def _metadata(schema: pa.Schema, key: bytes) -> Any:
    """The JSON under a key of a file's metadata; None if there is none."""
    try:
        return json.loads((schema.metadata or {}).get(key, b"null"))
    except (ValueError, RecursionError):  # of another program
        return None


def _images(dataset: ParquetDataset, paths: list[Path], fit: Fit) -> Iterator[Encoded]:
    """The encoded images of files; a missing image counts as empty."""
    rows = chunk_rows((fit.size, fit.size, fit.channels))
    for path in paths:
        row = 0
        for batch in parquet_batches(path, [dataset.image_column], rows):
            column = batch.column(0)
            if pa.types.is_struct(column.type):
                column = column.field("bytes")
            for data in column:
                yield f"{path}, row {row}", partial(_content, data)
                row += 1


def _content(data: pa.Scalar) -> bytes:
    """The bytes of one cell."""
    content: bytes | None = data.as_py()
    return content or b""
