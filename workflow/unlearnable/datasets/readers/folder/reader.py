"""A folder of image files with one folder per class, either below train and test or to be split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.datasets.readers._class_folders import Labelled, by_class, folders_below, refuse_loose, stream
from unlearnable.datasets.readers._decoding import Fit
from unlearnable.datasets.readers.folder.settings import FolderDataset
from unlearnable.datasets.settings import nfc
from unlearnable.datasets.size import COUNTED, Size
from unlearnable.datasets.split import stratified_order
from unlearnable.datasets.stream import Stream
from unlearnable.errors import UserError
from unlearnable.randomness import numpy_generator


def read(dataset: FolderDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read a folder of images; arguments and errors as for ``datasets.read.read``."""
    folder = root / dataset.root
    provenance: dict[str, Any] = {"kind": "folder", "root": dataset.root}
    halves = [name for name in ("train", "test") if (folder / name).is_dir() and name not in dataset.classes]
    if halves:
        _refuse_beside(folder, halves, dataset.classes)
        train, test = (by_class(folder / name, dataset.classes, others=False) for name in ("train", "test"))
    else:
        train, test = _split(by_class(folder, dataset.classes, others=False), dataset)
        provenance["test_share"] = dataset.test_share
    fit = Fit.of(dataset, resize=dataset.resize == "squash")
    return (
        stream(train, f"{dataset.root}, train split", fit),
        stream(test, f"{dataset.root}, test split", fit),
        provenance,
    )


def size_hint(dataset: FolderDataset, root: Path) -> Size:
    """The number of files in the class folders.

    Raises:
        UserError: the folder is missing or has the wrong content.
    """
    if not (root / dataset.root).is_dir():
        raise UserError(f"{root / dataset.root}: no such folder")
    train, test, _ = read(dataset, root, root)  # lists the files without decoding them
    return Size(len(train.labels), len(test.labels), COUNTED)


def _refuse_beside(folder: Path, halves: list[str], classes: list[str]) -> None:
    """Make sure that no images are beside train and test, where they would not be read."""
    beside = folders_below(folder)
    for name in map(nfc, classes):
        if name not in ("train", "test") and name in beside:
            raise UserError(
                f"{beside[name]}: this class folder is beside {' and '.join(halves)}; class folders must be all "
                "in train and test, or all beside each other without these"
            )
    refuse_loose(folder, folder / halves[0] / classes[0])


def _split(images: Labelled, dataset: FolderDataset) -> tuple[Labelled, Labelled]:
    """Set aside a class-balanced share of the images for the test set, always the same ones."""
    if not images:
        raise UserError(f"{dataset.root}: there are no images in the class folders")
    labels = np.array([label for _, label in images])
    order = stratified_order(labels, numpy_generator(0, "test split"))
    held = set(order[: round(len(images) * dataset.test_share)].tolist())
    train = [image for row, image in enumerate(images) if row not in held]
    return train, [images[row] for row in sorted(held)]
