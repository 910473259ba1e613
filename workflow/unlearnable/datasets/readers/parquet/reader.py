"""Parquet files of encoded images and labels, one or several per split, as dataset hubs store them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unlearnable.datasets import class_names
from unlearnable.datasets.parquet import parquet_batches, parquet_metadata, require_unpackable
from unlearnable.datasets.readers import _checked_files
from unlearnable.datasets.readers._decoding import Encoded, Fit, decoded
from unlearnable.datasets.readers.parquet.settings import ParquetDataset
from unlearnable.datasets.size import COUNTED, Size
from unlearnable.datasets.split import Array
from unlearnable.datasets.stream import Stream, require_count
from unlearnable.errors import UserError

LABELS_AT_ONCE = 2**16
IMAGES_AT_ONCE = 32
BYTES_AT_ONCE = 2**24  # of encoded images, if one is not larger
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
    folder = root / dataset.root
    train, test = (_rows([folder / name for name in split_files(folder, split)]) for split in ("train", "test"))
    return Size(train, test, COUNTED)


def _rows(paths: list[Path]) -> int:
    """The number of images in files, as they state it."""
    for path in paths:
        _checked_files.require_file(path)
    return sum(parquet_metadata(path).num_rows for path in paths)


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
    fit = Fit.of(dataset, resize=dataset.resize == "squash")
    paths = [folder / name for name in names]
    require_count(_rows(paths), where)
    files = [(path, *_checked(dataset, path, fit)) for path in paths]
    labels = np.concatenate([_labels(dataset, path) for path in paths])
    return Stream(where, labels, lambda: decoded(_images(files, fit), len(labels), where, fit))


def _checked(dataset: ParquetDataset, path: Path, fit: Fit) -> tuple[str, int]:
    """The column of encoded images in a file, and how many of its rows to read at once, after checking its columns."""
    metadata = parquet_metadata(path)
    schema = metadata.schema.to_arrow_schema()
    for column in (dataset.image_column, dataset.label_column):
        count = schema.names.count(column)
        if count != 1:
            fault = f"{count} columns are called" if count else "no column"
            raise UserError(f"{path}: {fault} {column!r}; it has {', '.join(schema.names)}")
    kind = schema.field(dataset.image_column).type
    column = dataset.image_column
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind, column = kind.field("bytes").type, f"{column}.bytes"
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise UserError(f"{path}: column {dataset.image_column!r} holds {kind}, not encoded images")
    if not pa.types.is_integer(schema.field(dataset.label_column).type):
        raise UserError(f"{path}: column {dataset.label_column!r} must hold whole numbers without gaps")
    for names in _names(metadata.metadata or {}, dataset.label_column):
        class_names.require_same(names, dataset.classes, str(path))
    require_unpackable(path, dataset.label_column, fit.bytes_limit)
    largest = require_unpackable(path, column, fit.bytes_limit)
    return column, max(1, min(IMAGES_AT_ONCE, BYTES_AT_ONCE // max(1, largest)))


def _labels(dataset: ParquetDataset, path: Path) -> Array:
    """The labels of one file, ``(n,)`` int64."""
    batches = list(parquet_batches(path, [dataset.label_column], LABELS_AT_ONCE))
    if any(batch.column(0).null_count for batch in batches):
        raise UserError(f"{path}: column {dataset.label_column!r} must hold whole numbers without gaps")
    return np.concatenate([np.empty(0, np.int64), *(batch.column(0).to_numpy().astype(np.int64) for batch in batches)])


def _names(metadata: Mapping[bytes, bytes], label_column: str) -> Iterator[list[str]]:
    """The class names in a file's metadata: those for Hugging Face's ``datasets``, and those that pandas keeps."""
    described = _read(metadata, b"huggingface")
    for key in ("info", "features", label_column, "names"):
        described = described.get(key) if isinstance(described, dict) else None
    attributes = _read(metadata, b"PANDAS_ATTRS")
    for names in (described, attributes.get("classes") if isinstance(attributes, dict) else None):
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            yield names


def _read(metadata: Mapping[bytes, bytes], key: bytes) -> Any:
    """The JSON under a key of a file's metadata; None if there is none."""
    try:
        return json.loads(metadata.get(key, b"null"))
    except (ValueError, RecursionError):  # of another program
        return None


def _images(files: list[tuple[Path, str, int]], fit: Fit) -> Iterator[Encoded]:
    """The encoded images of files; a missing image counts as empty."""
    for path, column, rows in files:
        row = 0
        for batch in parquet_batches(path, [column], rows):
            cells = batch.column(0)
            if pa.types.is_struct(cells.type):
                cells = cells.field("bytes")
            for data in cells:
                where = f"{path}, row {row}"
                yield where, partial(_content, data, where, fit)
                row += 1


def _content(data: pa.Scalar, where: str, fit: Fit) -> bytes:
    """The bytes of one cell."""
    content = data.as_buffer()
    if content is None:
        return b""
    fit.require_bytes(content.size, where)
    whole: bytes = content.to_pybytes()
    return whole
