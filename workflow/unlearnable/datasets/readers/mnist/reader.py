"""MNIST and datasets stored like it: four IDX files, plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable import files
from unlearnable.datasets import class_names
from unlearnable.datasets.download import fetch
from unlearnable.datasets.readers import _checked_files
from unlearnable.datasets.readers.mnist.settings import MnistDataset
from unlearnable.datasets.size import COUNTED, Size, official
from unlearnable.datasets.split import Array, require_shape
from unlearnable.datasets.stream import Stream, chunk_rows, require_count
from unlearnable.errors import UserError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


BLOCK = 2**20  # bytes read at once
Opened = io.BufferedReader | gzip.GzipFile
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
    hashes: dict[str, str] = {}
    splits = {}
    for split, names in FILES.items():
        where = f"{origin}, {split} split"
        images, labels = (Idx.of(folder / name, n) for name, n in zip(names, (3, 1), strict=True))
        require_shape((*images.shape[1:], 1), (dataset.image_size, dataset.image_size, dataset.channels), where)
        if images.shape[0] != labels.shape[0]:
            raise UserError(f"{images.path}: {images.shape[0]} images but {labels.shape[0]} labels")
        require_count(labels.shape[0], str(labels.path))
        for name, file in zip(names, (images, labels), strict=True):
            hashes[name] = file.sha256()
            _checked_files.require_checksum(file.path, hashes[name], dataset.sha256.get(name))
        splits[split] = _stream(images, labels, where)
    return splits["train"], splits["test"], {"kind": "mnist", "root": origin, "sha256": hashes}


def _stream(images: Idx, labels: Idx, where: str) -> Stream:
    height, width = images.shape[1:]

    def chunks() -> Iterator[Array]:
        for piece in images.rows(chunk_rows((height, width, 1))):
            yield piece[..., None]

    return Stream(where, labels.array().astype(np.int64), chunks)


def size_hint(dataset: MnistDataset, root: Path) -> Size:
    """The number of labels in the user's folder, or the official size.

    Raises:
        UserError: a file of the folder is missing or damaged.
    """
    if dataset.root is None or not (root / dataset.root).is_dir():
        return official(60_000, 10_000)
    train, test = (Idx.of(root / dataset.root / names[1], 1).shape[0] for names in FILES.values())
    return Size(train, test, COUNTED)


def _downloaded(dataset: MnistDataset, downloads: Path) -> Path:
    folder = downloads / dataset.variant
    mirrors = dataset.mirrors or MIRRORS[dataset.variant]
    instead = "without a network, put the four IDX files into a folder and set the dataset's key root to it"
    for name, md5 in zip(NAMES, MD5[dataset.variant], strict=True):
        fetch(_checked_files.addresses(mirrors, f"{name}.gz"), folder / f"{name}.gz", md5=md5, instead=instead)
    return folder


@dataclass(frozen=True)
class Idx:
    """An IDX file of unsigned bytes: a header with the shape, and the values.

    Attributes:
        path: its name in messages, without ``.gz``; the gzipped file beside it is read if there is no such file.
        shape: as the header states it.
    """

    path: Path
    shape: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, dimensions: int) -> Idx:
        """A file whose header, and nothing else, has been read.

        Raises:
            UserError: there is no such file, or it is not of this format.
        """
        with unpacked(path) as file:
            header = file.read(4 + 4 * dimensions)
        if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, 8, dimensions]):
            raise UserError(f"{path}: not an IDX file of unsigned bytes with {dimensions} dimension(s)")
        return cls(path, struct.unpack(f">{dimensions}I", header[4:]))

    def sha256(self) -> str:
        """The SHA-256 of the unpacked file, of which nothing is kept.

        Raises:
            UserError: the file is damaged, or has more or fewer values than its header states.
        """
        hashed = hashlib.sha256()
        with unpacked(self.path) as file:
            hashed.update(file.read(self._header))
            for block in self._blocks(file, BLOCK):
                hashed.update(block)
            if file.read(1):
                raise UserError(f"{self.path}: more bytes, but its header announces {math.prod(self.shape)}")
        return hashed.hexdigest()

    def rows(self, count: int) -> Iterator[Array]:
        """The values, ``count`` rows at a time.

        Raises:
            UserError: the file is damaged, or has fewer values than its header states.
        """
        with unpacked(self.path) as file:
            file.read(self._header)
            for block in self._blocks(file, count * math.prod(self.shape[1:])):
                yield np.frombuffer(block, np.uint8).reshape(-1, *self.shape[1:])

    def array(self) -> Array:
        """All values; errors as for ``rows``."""
        return np.concatenate([np.empty((0, *self.shape[1:]), np.uint8), *self.rows(BLOCK)])

    @property
    def _header(self) -> int:
        return 4 + 4 * len(self.shape)

    def _blocks(self, file: Opened, size: int) -> Iterator[bytes]:
        """The announced bytes, ``size`` at a time."""
        announced = math.prod(self.shape)
        for start in range(0, announced, max(1, size)):
            block = file.read(min(size, announced - start))
            if len(block) < min(size, announced - start):
                found = start + len(block)
                raise UserError(f"{self.path}: {found} bytes, but its header announces {announced}; truncated?")
            yield block


@contextmanager
def unpacked(path: Path) -> Iterator[Opened]:
    """Open the file at ``path``, or the gzipped file beside it, to read its unpacked bytes.

    Raises:
        UserError: there is no such file, it is a pipe, a device or a socket, or it is damaged.
    """
    packed = Path(f"{path}.gz")
    try:
        if path.exists():
            with files.open_regular(path) as file:
                yield file
        else:
            with files.open_regular(packed) as file, gzip.GzipFile(fileobj=file) as inflated:
                yield inflated
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, nor {packed.name}; root must be the folder of the IDX files") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{packed}: damaged gzip file ({error})") from error
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror})") from error
