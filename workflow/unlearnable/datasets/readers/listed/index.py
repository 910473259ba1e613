"""The index of a listed dataset: files, labels and splits, in its order."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable import files
from unlearnable.datasets.parquet import parquet_metadata
from unlearnable.datasets.readers._checked_files import require_checksum, require_file
from unlearnable.datasets.readers.listed.settings import ListedDataset
from unlearnable.datasets.settings import nfc
from unlearnable.datasets.split import stratified_order
from unlearnable.datasets.stream import require_count
from unlearnable.errors import UserError
from unlearnable.randomness import numpy_generator
from unlearnable.settings import nearest

SPLITS = {"train": ("train",), "test": ("test",), "both": ("train", "test")}
REQUIRED, COLUMNS = ("file", "label"), ("file", "label", "split")
LONGEST_INDEX = 2**31  # bytes
NAMED = 10  # faults named in the message

Line = tuple[str, dict[str, str]]  # a row's place in messages, and its values by column


class Row(NamedTuple):
    """One image.

    Attributes:
        file: its path from the dataset's root.
        label: index of its class.
        splits: that it belongs to.
    """

    file: str
    label: int
    splits: tuple[str, ...]


def read_index(dataset: ListedDataset, root: Path) -> list[Row]:
    """The rows of a dataset's index, in its order.

    Without a column ``split``, a class-balanced share of the rows is the test split, always the same.

    Args:
        dataset: the description.
        root: base folder of relative paths in it.

    Raises:
        UserError: it is not a readable CSV or Parquet file, has the wrong checksum, no rows or no such column; or rows
            are at fault, of which the message names the first: an unknown class or split, or a file that is missing,
            outside the root or listed twice for a split.
    """
    path = root / dataset.index
    require_file(path, "; index must be a CSV or Parquet file with the columns file and label")
    require_checksum(path, files.sha256(path), dataset.sha256)
    lines = list(_parquet(path) if path.suffix.lower() == ".parquet" else _csv(path))
    if not lines:
        raise UserError(f"{path}: has no rows; each must name the file and the label of an image")
    require_count(len(lines), str(path))
    labels = {nfc(name): label for label, name in enumerate(dataset.classes)}
    first: dict[tuple[str, str], str] = {}
    faults, rows = [], []
    for where, line in lines:
        fault = _fault(line, root / dataset.root, labels) or _repeated(line, where, first)
        if fault is None:
            rows.append(Row(line["file"], labels[nfc(line["label"])], SPLITS[line.get("split", "train")]))
        else:
            faults.append(f"{where}: {fault}")
    if faults:
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise UserError(f"{path}: {'; '.join(faults[:NAMED])}{more}")
    return rows if "split" in lines[0][1] else _split(rows, dataset.test_share)


def _csv(path: Path) -> Iterator[Line]:
    """The rows of a CSV file, with the numbers of the lines on which they end."""
    content = files.read_whole(path, LONGEST_INDEX)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}: line {line}: not UTF-8; save the file as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _require_columns(path, header)
        for values in reader:
            if not values:  # an empty line
                continue
            if len(values) != len(header):
                raise UserError(f"{path}: line {reader.line_num}: {len(values)} values for {len(header)} columns")
            yield f"line {reader.line_num}", dict(zip(header, values, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: not CSV ({error})") from error


def _parquet(path: Path) -> Iterator[Line]:
    """The rows of a Parquet file, with their numbers, counted from 1."""
    names = parquet_metadata(path).schema.to_arrow_schema().names
    _require_columns(path, names)
    present = [name for name in COLUMNS if name in names]
    try:
        table = pq.read_table(path, columns=present)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from error
    for number, row in enumerate(table.to_pylist(), start=1):
        yield f"row {number}", {name: "" if value is None else str(value) for name, value in row.items()}


def _require_columns(path: Path, names: list[str]) -> None:
    for name in REQUIRED:
        if name not in names:
            raise UserError(f"{path}: has no column {name!r}; it has {', '.join(map(repr, names)) or 'none'}")
    repeated = [name for name in COLUMNS if names.count(name) > 1]
    if repeated:
        raise UserError(f"{path}: {names.count(repeated[0])} columns are called {repeated[0]!r}")


def _fault(line: dict[str, str], folder: Path, labels: dict[str, int]) -> str | None:
    """What is wrong with a row by itself; None if nothing is."""
    file = PurePosixPath(line["file"])
    if not line["file"]:
        return "names no file"
    if file.is_absolute() or ".." in file.parts or "\0" in line["file"]:
        return f"{line['file']!r} is not a path below the dataset's root"
    if nfc(line["label"]) not in labels:
        return f"unknown class {line['label']!r}; {nearest(line['label'], list(labels))}"
    if line.get("split", "train") not in SPLITS:
        return f"split is {line['split']!r}; known: {', '.join(SPLITS)}"
    if not (folder / file).is_file():
        return f"{folder / file}: no such file"
    return None


def _repeated(line: dict[str, str], where: str, first: dict[tuple[str, str], str]) -> str | None:
    """Whether a file was listed for the same split before; else it is noted where."""
    file = PurePosixPath(line["file"]).as_posix()
    for split in SPLITS[line.get("split", "train")]:
        earlier = first.setdefault((file, split), where)
        if earlier != where:
            return f"{file} is listed on {earlier} already"
    return None


def _split(rows: list[Row], share: float) -> list[Row]:
    """Set aside a class-balanced share of the rows for the test split, always the same ones."""
    order = stratified_order(np.array([row.label for row in rows]), numpy_generator(0, "test split"))
    held = set(order[: round(len(rows) * share)].tolist())
    return [row._replace(splits=SPLITS["test" if place in held else "train"]) for place, row in enumerate(rows)]
