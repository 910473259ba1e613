"""MNIST and datasets stored like it: four IDX files, plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.datasets import class_names
from unlearnable.datasets.download import fetch
from unlearnable.datasets.readers import _checked_files
from unlearnable.datasets.readers.mnist.settings import MnistDataset
from unlearnable.datasets.size import COUNTED, Size, official
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import Stream, of_split
from unlearnable.errors import UserError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


IDX_HEADER = 8  # bytes before the labels
NAMES = [name for names in FILES.values() for name in names]


MIRRORS = {
    "MNIST": ["https://ossci-datasets.s3.amazonaws.com/mnist", "http://yann.lecun.com/exdb/mnist"],
    "FashionMNIST": ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"],
    "KMNIST": ["http://codh.rois.ac.jp/kmnist/dataset/kmnist"],
}


MD5 = {  # of the gzipped files, in the order of NAMES; no SHA-256 is published
    "MNIST": [
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ],
    "FashionMNIST": [
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ],
    "KMNIST": [
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ],
}


CLASSES = {
    "MNIST": list("0123456789"),
    "FashionMNIST": [
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ],
    "KMNIST": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
}


def read(dataset: MnistDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read the four IDX files; arguments and errors as for ``datasets.read.read``."""
    given = _checked_files.given_folder(dataset.root, root)
    if given is not None:
        folder, origin = given, str(dataset.root)
    else:
        folder, origin = _downloaded(dataset, downloads), dataset.variant
    _checked_files.require_known(folder, NAMES, dataset.sha256)
    class_names.require_official_order(CLASSES[dataset.variant], dataset.classes, f"{folder}, {dataset.variant}")
    hashes = {}
    splits = {}
    for split, names in FILES.items():
        contents = [idx_bytes(folder / name) for name in names]
        for name, data in zip(names, contents, strict=True):
            hashes[name] = hashlib.sha256(data).hexdigest()
            _checked_files.require_checksum(folder / name, hashes[name], dataset.sha256.get(name))
        images, labels = (parse_idx(d, n, folder / f) for d, n, f in zip(contents, (3, 1), names, strict=True))
        if len(images) != len(labels):
            raise UserError(f"{folder / names[0]}: {len(images)} images but {len(labels)} labels")
        pixels = Split(images[..., None], labels.astype(np.int64), dataset.classes)
        splits[split] = of_split(pixels, f"{origin}, {split} split")
    return splits["train"], splits["test"], {"kind": "mnist", "root": origin, "sha256": hashes}


def size_hint(dataset: MnistDataset, root: Path) -> Size:
    """The number of labels in the user's folder, or the official size.

    Raises:
        UserError: a file of the folder is missing or damaged.
    """
    if dataset.root is None or not (root / dataset.root).is_dir():
        return official(60_000, 10_000)
    train, test = (len(idx_bytes(root / dataset.root / names[1])) - IDX_HEADER for names in FILES.values())
    return Size(train, test, COUNTED)


def _downloaded(dataset: MnistDataset, downloads: Path) -> Path:
    folder = downloads / dataset.variant
    mirrors = dataset.mirrors or MIRRORS[dataset.variant]
    instead = "without a network, put the four IDX files into a folder and set the dataset's key root to it"
    for name, md5 in zip(NAMES, MD5[dataset.variant], strict=True):
        fetch(_checked_files.addresses(mirrors, f"{name}.gz"), folder / f"{name}.gz", md5=md5, instead=instead)
    return folder


def idx_bytes(path: Path) -> bytes:
    """The content of an IDX file, from ``path`` or from the gzipped file beside it.

    Raises:
        UserError: there is no such file, or it is damaged.
    """
    packed = Path(f"{path}.gz")
    try:
        return path.read_bytes() if path.is_file() else gzip.decompress(packed.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, nor {packed.name}; root must be the folder of the IDX files") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{packed}: damaged gzip file ({error})") from error


def parse_idx(data: bytes, dimensions: int, where: Path) -> Array:
    """The array of unsigned bytes in the content of an IDX file.

    Raises:
        UserError: the content is damaged or not of this format.
    """
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes([0, 0, 8, dimensions]):
        raise UserError(f"{where}: not an IDX file of unsigned bytes with {dimensions} dimension(s)")
    shape = [int(n) for n in np.frombuffer(data, ">i4", dimensions, 4)]
    if len(data) - header != math.prod(shape):
        raise UserError(f"{where}: {len(data) - header} bytes, but its header announces {math.prod(shape)}; truncated?")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
