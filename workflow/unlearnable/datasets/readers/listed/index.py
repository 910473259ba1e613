"""The index of a listed dataset: files, labels and splits, in its order."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from unlearnable.datasets.readers._checked_files import require_file
from unlearnable.datasets.readers.listed.settings import ListedDataset
from unlearnable.datasets.settings import nfc
from unlearnable.errors import UserError
from unlearnable.settings import nearest

SPLITS = {"train": ("train",), "test": ("test",), "both": ("train", "test")}


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

    Args:
        dataset: the description.
        root: base folder of a relative path in it.

    Raises:
        UserError: it is not a readable CSV or Parquet file, lacks a column, or names an unknown class or split.
    """
    path = root / dataset.index
    require_file(path, "; index must be a CSV or Parquet file with the columns file and label")
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError, pa.ArrowException) as error:  # decoding errors and pandas' own are ValueErrors
        raise UserError(f"{path}: not a readable CSV or Parquet file ({error})") from error
    for column in ("file", "label"):
        if column not in table:
            raise UserError(f"{path}: has no column {column!r}; it has {', '.join(map(repr, table))}")
    labels = {nfc(name): label for label, name in enumerate(dataset.classes)}
    splits = table["split"] if "split" in table else ["train"] * len(table)
    rows = []
    for number, (file, label, split) in enumerate(zip(table["file"], table["label"], splits, strict=True), start=1):
        if nfc(str(label)) not in labels:
            raise UserError(f"{path}, row {number}: unknown class {label!r}; {nearest(str(label), dataset.classes)}")
        if split not in SPLITS:
            raise UserError(f"{path}, row {number}: split is {split!r}; known: {', '.join(SPLITS)}")
        rows.append(Row(str(file), labels[nfc(str(label))], SPLITS[split]))
    return rows
