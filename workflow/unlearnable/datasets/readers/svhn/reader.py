"""SVHN's cropped digits from the two official .mat files."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.datasets import class_names
from unlearnable.datasets.download import fetch
from unlearnable.datasets.readers import _checked_files
from unlearnable.datasets.readers.svhn.settings import SvhnDataset
from unlearnable.datasets.size import Size, official
from unlearnable.datasets.split import Array, require_shape
from unlearnable.datasets.stream import Stream, chunk_rows
from unlearnable.errors import UserError

FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


SHA256 = {
    "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}


MIRRORS = ["http://ufldl.stanford.edu/housenumbers"]
ALL = 630_420  # images in SVHN with its extra ones: the most that are loaded
TEN = 10  # label of the digit 0 in the files
DIGITS = list("0123456789")


def read(dataset: SvhnDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read the two .mat files; arguments and errors as for ``datasets.read.read``."""
    names = list(FILES.values())
    expected = SHA256 | dataset.sha256
    given = _checked_files.given_folder(dataset.root, root)
    if given is not None:
        folder, origin = given, str(dataset.root)
    else:
        folder, origin = downloads, "svhn"
        instead = f"without a network, put {' and '.join(names)} into a folder and set the dataset's key root to it"
        for name in names:
            mirrors = _checked_files.addresses(dataset.mirrors or MIRRORS, name)
            fetch(mirrors, folder / name, expected[name], instead=instead)
    hashes = _checked_files.checked_hashes(folder, names, expected)
    class_names.require_official_order(DIGITS, dataset.classes, f"{folder}, whose labels are the digits")
    shape = (dataset.image_size, dataset.image_size, dataset.channels)
    train, test = (_stream(folder / name, shape, f"{origin}, {split} split") for split, name in FILES.items())
    return train, test, {"kind": "svhn", "root": origin, "sha256": hashes}


def size_hint(dataset: SvhnDataset, root: Path) -> Size:
    """The official size."""
    return official(73_257, 26_032, own_files=bool(dataset.sha256))


def _require_loadable(path: Path, name: str, stated: tuple[int, ...], shape: tuple[int, int, int], where: str) -> None:
    """Make sure, by the shape that its header states, that an array of a file may be loaded."""
    if name == "X" and len(stated) == 4:
        require_shape(tuple(stated[:3]), shape, where)
    limit = ALL * (math.prod(shape) if name == "X" else 1)
    if name in ("X", "y") and math.prod(stated) > limit:
        raise UserError(f"{path}: {name} states the shape {tuple(stated)}, but all of SVHN has {ALL:,} images")


def _stream(path: Path, shape: tuple[int, int, int], where: str) -> Stream:
    images, labels = _arrays(path, shape, where)
    step = chunk_rows(images.shape[:3])

    def chunks() -> Iterator[Array]:
        for start in range(0, len(labels), step):
            yield images[..., start : start + step].transpose(3, 0, 1, 2)

    return Stream(where, labels, chunks)


def _arrays(path: Path, shape: tuple[int, int, int], where: str) -> tuple[Array, Array]:
    """The images ``(32, 32, 3, N)`` uint8, as stored, and the labels ``(N,)`` int64, which are the digits."""
    from scipy.io import loadmat, whosmat  # imported here, as nothing else needs it
    from scipy.io.matlab import MatReadError

    try:
        for name, stated, _ in whosmat(path):
            _require_loadable(path, name, stated, shape, where)
        content = loadmat(path, variable_names=("X", "y"))
    except (MatReadError, OSError, LookupError, TypeError, ValueError, NotImplementedError, zlib.error) as error:
        raise UserError(f"{path}: truncated, or not a .mat file of version 5 ({error})") from error
    images, labels = (content.get(name) for name in ("X", "y"))
    if images is None or images.dtype != np.uint8 or images.ndim != 4:
        found = "missing" if images is None else f"{images.dtype} of shape {images.shape}"
        raise UserError(f"{path}: X is {found}, not uint8 of shape (32, 32, 3, images)")
    dense = isinstance(labels, np.ndarray)
    if not dense or labels.dtype.kind not in "ui" or labels.size != images.shape[3]:
        form = f"{labels.dtype} of shape {labels.shape}" if dense else "a sparse matrix"
        found = "missing" if labels is None else form
        raise UserError(f"{path}: y is {found}, not {images.shape[3]} whole numbers, as many as images")
    digits = labels.ravel().astype(np.int64)
    wrong = np.flatnonzero((digits < 1) | (digits > TEN))
    if wrong.size:
        raise UserError(f"{path}, row {wrong[0]}: label {digits[wrong[0]]} is outside 1..{TEN}")
    return images, digits % TEN
