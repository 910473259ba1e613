"""The user's folder of ILSVRC images, ``train/WNID/*.JPEG`` and ``val/WNID/*.JPEG``, squashed to one size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unlearnable.datasets import class_names
from unlearnable.datasets.readers._class_folders import by_class, stream
from unlearnable.datasets.readers._decoding import Fit
from unlearnable.datasets.readers.imagenet.settings import ImagenetDataset
from unlearnable.datasets.size import COUNTED, Size
from unlearnable.datasets.stream import Stream

TRAIN, VAL = 1281, 50  # images per class, on average in train


def read(dataset: ImagenetDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read the described classes and ignore other folders; arguments and errors as for ``datasets.read.read``."""
    folder = root / dataset.root
    class_names.require_wordnet_order(dataset.classes, str(folder))
    fit = Fit.of(dataset, resize=True)
    train, test = (by_class(folder / name, dataset.classes, others=True) for name in ("train", "val"))
    return (
        stream(train, f"{dataset.root}, train split", fit),
        stream(test, f"{dataset.root}, test split", fit),
        {"kind": "imagenet", "root": dataset.root},
    )


def size_hint(dataset: ImagenetDataset, root: Path) -> Size:
    """The number of files in the class folders; without the folder, the official size for this many classes.

    Raises:
        UserError: the folder has the wrong content.
    """
    if not (root / dataset.root).is_dir():
        classes = len(dataset.classes)
        return Size(TRAIN * classes, VAL * classes, f"about {TRAIN:,} a class")
    train, test, _ = read(dataset, root, root)  # lists the files without decoding them
    return Size(len(train.labels), len(test.labels), COUNTED)
