"""A user's folder of ILSVRC images: ``train/WNID/*.JPEG`` and ``val/WNID/*.JPEG``, squashed to one size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unlearnable.datasets.readers import _folders
from unlearnable.datasets.readers._images import Fit
from unlearnable.datasets.readers.imagenet.settings import ImagenetDataset
from unlearnable.datasets.stream import Stream


def read(dataset: ImagenetDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read the described classes; folders of others may be there. Arguments and errors as for ``readers.read``."""
    folder = root / dataset.root
    fit = Fit(dataset.image_size, dataset.channels, resize=True)
    train, test = (_folders.by_class(folder / name, dataset.classes, others=True) for name in ("train", "val"))
    return (
        _folders.stream(train, f"{dataset.root}, train split", fit),
        _folders.stream(test, f"{dataset.root}, test split", fit),
        {"kind": "imagenet", "root": dataset.root},
    )
