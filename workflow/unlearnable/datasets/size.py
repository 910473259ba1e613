"""The number of images in a dataset before it is stored: counted without decoding, or known from its kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unlearnable import registry
from unlearnable.datasets.settings import Dataset
from unlearnable.errors import UserError

COUNTED = "counted on disk"


@dataclass(frozen=True)
class Size:
    """The number of images in a dataset.

    Attributes:
        train: number of training images; None if it is only known once the dataset is stored.
        test: number of test images, likewise.
        source: how the numbers are known, or why they are unknown.
    """

    train: int | None
    test: int | None
    source: str


def size_hint(dataset: Dataset, root: Path) -> Size:
    """The size of a dataset, if its reader can find it without reading the images.

    A reader's module may define a function with this name and these arguments that returns the size of everything it
    would read, before the description selects from it; or None.

    Args:
        dataset: its description.
        root: base folder of relative paths in it.
    """
    own = getattr(registry.load_module("readers", dataset.kind), "size_hint", None)
    try:
        found: Size | None = None if own is None else own(dataset, root)
    except (UserError, OSError) as error:
        return Size(None, None, str(error))
    if found is None:
        return Size(None, None, f"a reader of the kind {dataset.kind} counts images only as it reads them")
    return _chosen(dataset, found)


def official(train: int, test: int, own_files: bool = False) -> Size:
    """The size of a published dataset; unknown if the description is of other files than the official ones."""
    return Size(None, None, "its files are the user's own") if own_files else Size(train, test, "official size")


def _chosen(dataset: Dataset, every: Size) -> Size:
    """The size after the description selects from all training and test images."""
    train, test = every.train, every.test
    if train is None or test is None:
        return every
    if dataset.validation:
        train, test = train - dataset.validation, dataset.validation
    return Size(min(train, dataset.train_images or train), min(test, dataset.test_images or test), every.source)
