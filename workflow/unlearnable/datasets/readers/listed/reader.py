"""Image files and labels from an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unlearnable import files
from unlearnable.datasets.readers._class_folders import stream
from unlearnable.datasets.readers._decoding import Fit
from unlearnable.datasets.readers.listed.index import read_index
from unlearnable.datasets.readers.listed.settings import ListedDataset
from unlearnable.datasets.size import COUNTED, Size
from unlearnable.datasets.stream import Stream


def read(dataset: ListedDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read listed images; arguments and errors as for ``datasets.read.read``."""
    rows, folder = read_index(dataset, root), root / dataset.root
    fit = Fit.of(dataset, resize=dataset.resize == "squash")
    train, test = (
        stream(
            [(folder / row.file, row.label) for row in rows if split in row.splits],
            f"{dataset.index}, {split} split",
            fit,
        )
        for split in ("train", "test")
    )
    provenance = {"kind": "listed", "root": dataset.root, "index": dataset.index}
    return train, test, provenance | {"sha256": files.sha256(root / dataset.index)}


def size_hint(dataset: ListedDataset, root: Path) -> Size:
    """The number of rows of the index.

    Raises:
        UserError: the index is at fault.
    """
    rows = read_index(dataset, root)
    train, test = (sum(split in row.splits for row in rows) for split in ("train", "test"))
    return Size(train, test, COUNTED)
