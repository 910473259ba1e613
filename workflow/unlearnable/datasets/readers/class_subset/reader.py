"""The images of some classes of another dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.datasets.read import read as read_any
from unlearnable.datasets.readers.class_subset.settings import ClassSubset
from unlearnable.datasets.settings import Downloaded
from unlearnable.datasets.size import COUNTED, Size
from unlearnable.datasets.split import Array, check_labels
from unlearnable.datasets.stream import Stream


def read(dataset: ClassSubset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read the other dataset and leave out all other classes; arguments and errors as for ``datasets.read.read``."""
    train, test, provenance = read_any(dataset.of, root, downloads)
    return _some(train, dataset), _some(test, dataset), {"kind": dataset.kind, "of": provenance}


def size_hint(dataset: ClassSubset, root: Path) -> Size | None:
    """The numbers of its images, by their labels; unknown of a dataset that may have to be downloaded.

    Raises:
        UserError: a file is missing or damaged.
    """
    if isinstance(dataset.of, Downloaded):
        return None
    train, test, _ = read(dataset, root, root)
    return Size(len(train.labels), len(test.labels), COUNTED)


def _some(stream: Stream, dataset: ClassSubset) -> Stream:
    """The images of its classes, in their order, with their labels in it."""
    check_labels(stream.labels, dataset.of.classes, stream.where)
    label_of = np.full(len(dataset.of.classes), -1)
    label_of[dataset.labels] = np.arange(len(dataset.classes))
    labels = label_of[stream.labels]
    kept = labels >= 0

    def chunks() -> Iterator[Array]:
        place = 0
        for chunk in stream.chunks():
            yield chunk[kept[place : place + len(chunk)]]
            place += len(chunk)

    return Stream(stream.where, labels[kept], chunks)
