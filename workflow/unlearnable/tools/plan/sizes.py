"""How many images a dataset has: from its manifest, from its files without decoding any, or from what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable import files
from unlearnable.datasets import read as readers
from unlearnable.datasets.readers.folder.settings import FolderDataset
from unlearnable.datasets.readers.imagenet.settings import ImagenetDataset
from unlearnable.datasets.readers.mnist import reader as mnist
from unlearnable.datasets.readers.mnist.settings import MnistDataset
from unlearnable.datasets.readers.parquet import reader as parquet
from unlearnable.datasets.readers.parquet.settings import ParquetDataset
from unlearnable.datasets.settings import Dataset
from unlearnable.errors import UserError

OFFICIAL = {  # training and test images of the published sets; of ImageNet for each class, on average
    "cifar": (50_000, 10_000),
    "svhn": (73_257, 26_032),
    "tiny-imagenet": (100_000, 10_000),
    "mnist": (60_000, 10_000),
    "imagenet": (1281, 50),
}


IDX_HEADER = 8  # bytes before the labels


@dataclass(frozen=True)
class Size:
    """The images of a dataset.

    Attributes:
        train: how many training images; None where nobody can know before the dataset is stored.
        test: how many test images, likewise.
        source: how the numbers are known, or why they are not.
    """

    train: int | None
    test: int | None
    source: str


def size_of(dataset: Dataset, root: Path, manifest: Path | None) -> Size:
    """Count the images of a dataset.

    Args:
        dataset: its description.
        root: the folder that relative paths in it start at.
        manifest: what the dataset stage wrote; None where that is missing or out of date.
    """
    if manifest is not None:
        stored = files.read_json(manifest)
        return Size(stored["train"]["rows"], stored["test"]["rows"], "as stored")
    try:
        match dataset:
            case ParquetDataset():
                train, test = (_parquet_rows(root / dataset.root, split) for split in ("train", "test"))
            case FolderDataset() | ImagenetDataset() if (root / dataset.root).is_dir():
                of_train, of_test, _ = readers.read(dataset, root, root)  # lists the files; nothing is downloaded
                return Size(len(of_train.labels), len(of_test.labels), "counted on disk")
            case FolderDataset():
                raise UserError(f"{root / dataset.root}: no such folder")
            case MnistDataset() if dataset.root is not None and (root / dataset.root).is_dir():
                labels = [root / dataset.root / names[1] for names in mnist.FILES.values()]
                train, test = (len(mnist.idx_bytes(path)) - IDX_HEADER for path in labels)
            case _:
                return _official(dataset)
    except UserError as error:
        return Size(None, None, str(error))
    return _chosen(dataset, train, test, "counted on disk")


def _parquet_rows(folder: Path, split: str) -> int:
    """The rows of a split's files, from their footers."""
    paths = [folder / name for name in parquet.split_files(folder, split)]
    if not paths[0].is_file():
        raise UserError(f"{paths[0]}: no such file")
    try:
        return sum(pq.read_metadata(path).num_rows for path in paths)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{folder}: {split}*.parquet are not all readable Parquet files ({error})") from error


def _official(dataset: Dataset) -> Size:
    """The size of a published set; unknown where the description is of other files than the official ones."""
    if dataset.kind != "mnist" and getattr(dataset, "sha256", None):
        return Size(None, None, "its files are the user's own")
    train, test = OFFICIAL[dataset.kind]
    if isinstance(dataset, ImagenetDataset):
        classes = len(dataset.classes)
        return _chosen(dataset, train * classes, test * classes, "about 1,281 a class")
    return _chosen(dataset, train, test, "official size")


def _chosen(dataset: Dataset, train: int, test: int, source: str) -> Size:
    """What a description takes of all training and test images."""
    if dataset.validation:
        train, test = train - dataset.validation, dataset.validation
    return Size(min(train, dataset.train_images or train), min(test, dataset.test_images or test), source)
