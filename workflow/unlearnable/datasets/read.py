"""From a dataset's own files to streams of images, by the reader of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable import registry
from unlearnable.datasets import class_names
from unlearnable.datasets.settings import Dataset
from unlearnable.datasets.split import Array, check_labels, stratified_order
from unlearnable.datasets.stream import Stream
from unlearnable.errors import UserError
from unlearnable.randomness import numpy_generator


def read(dataset: Dataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Find a dataset's files and read its labels; images are decoded as the streams are read.

    Args:
        dataset: the description.
        root: base folder of relative paths in it.
        downloads: folder for downloads.

    Returns:
        The training split, the test split, and their provenance.

    Raises:
        UserError: a file is missing, damaged, or does not match the description, such as in its class names; errors in
            images are raised when a stream is read.
    """
    train, test, provenance = registry.load_module("readers", dataset.kind).read(dataset, root, downloads)
    if folder := getattr(dataset, "root", None):
        class_names.require_listed(root / folder, dataset.classes)
    if dataset.validation:
        provenance["validation"] = dataset.validation
        check_labels(train.labels, dataset.classes, train.where)  # before the split, which renumbers rows
        train, test = _hold_out(train, dataset.validation)
    if dataset.train_images:
        train = _some(train, dataset, "train_images", dataset.train_images)
    if dataset.test_images:
        test = _some(test, dataset, "test_images", dataset.test_images)
    return train, test, provenance


def _some(stream: Stream, dataset: Dataset, key: str, rows: int) -> Stream:
    """A class-balanced subset of ``rows`` images."""
    check_labels(stream.labels, dataset.classes, stream.where)
    if not len(dataset.classes) <= rows <= len(stream.labels):
        known = f"{len(dataset.classes)} classes and {len(stream.labels)} images"
        raise UserError(f"{stream.where}: {key}: {rows} does not fit its {known}")
    kept = np.zeros(len(stream.labels), bool)
    kept[stratified_order(stream.labels, numpy_generator(0, key))[:rows]] = True
    return _chosen(stream, kept, stream.where)


def _hold_out(train: Stream, rows: int) -> tuple[Stream, Stream]:
    """Split ``rows`` class-balanced images off the training set, to replace the test set."""
    classes = len(np.unique(train.labels))
    if rows < classes:
        raise UserError(f"validation: {rows} is too few for {classes} classes")
    if rows > len(train.labels) - classes:
        raise UserError(f"validation: {rows} is too many of {len(train.labels)} training images")
    held = np.zeros(len(train.labels), bool)
    held[stratified_order(train.labels, numpy_generator(0, "validation split"))[:rows]] = True
    return _chosen(train, ~held, train.where), _chosen(train, held, f"{train.where}, held out")


def _chosen(stream: Stream, rows: Array, where: str) -> Stream:
    """The images of a stream selected by ``rows``, ``(N,)`` bool."""

    def chunks() -> Iterator[Array]:
        place = 0
        for chunk in stream.chunks():
            yield chunk[rows[place : place + len(chunk)]]
            place += len(chunk)

    return Stream(where, stream.labels[rows], chunks)
