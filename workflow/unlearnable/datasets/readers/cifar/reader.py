"""CIFAR-10 and CIFAR-100 from the official Python archives: a tar of pickles written by Python 2.

The archive's checksum is compared first. Its members are read in place; nothing is unpacked to the disk. Unpickling
admits only what the format contains: globals of the pickles are never looked up, so nothing can be called.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.datasets import class_names
from unlearnable.datasets.readers import _checked_files
from unlearnable.datasets.readers.cifar.settings import CifarDataset
from unlearnable.datasets.size import Size, official
from unlearnable.datasets.split import Array
from unlearnable.datasets.stream import Stream, chunk_rows
from unlearnable.errors import UserError

SHAPE = (3, 32, 32)  # of an image in the archive
PIXELS = 3 * 32 * 32
LARGEST = 2**28  # bytes of an unpacked archive; the official ones have 186 million
MIRRORS = ["https://www.cs.toronto.edu/~kriz"]
DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


MALFORMED = (  # raised by unpickling damaged files, found by trial
    *(pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError, ValueError),
    *(OverflowError, MemoryError),  # a length that damage made absurd
)


@dataclass(frozen=True)
class _Layout:
    archive: str
    sha256: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: bytes
    meta: str
    names: bytes


LAYOUTS = {
    "cifar10": _Layout(
        archive="cifar-10-python.tar.gz",
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test=("test_batch",),
        labels=b"labels",
        meta="batches.meta",
        names=b"label_names",
    ),
    "cifar100": _Layout(
        archive="cifar-100-python.tar.gz",
        sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        folder="cifar-100-python",
        train=("train",),
        test=("test",),
        labels=b"fine_labels",
        meta="meta",
        names=b"fine_label_names",
    ),
}


def read(dataset: CifarDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read an official archive; arguments and errors as for ``datasets.read.read``."""
    layout = LAYOUTS[dataset.variant]
    expected = dataset.sha256 or layout.sha256
    mirrors = dataset.mirrors or MIRRORS
    path, origin = _checked_files.archive(dataset.archive, layout.archive, expected, mirrors, root, downloads)
    members = _members(path, layout)
    _check_names(f"{path}, {layout.meta}", members[layout.meta], layout.names, dataset.classes)
    train, test = (
        _stream(
            [_batch(f"{path}, {name}", members.pop(name), layout.labels) for name in names], f"{origin}, {split} split"
        )
        for split, names in (("train", layout.train), ("test", layout.test))
    )
    return train, test, {"kind": "cifar", "root": origin, "sha256": {layout.archive: expected}}


def size_hint(dataset: CifarDataset, root: Path) -> Size:
    """The official size."""
    return official(50_000, 10_000, own_files=dataset.sha256 is not None)


class _Bounded(gzip.GzipFile):
    """An archive that is unpacked no further than CIFAR's can reach; any length may stand in its headers."""

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes.

        Raises:
            UserError: they are beyond the largest size.
        """
        self._require(self.tell() + (size or 0))
        return super().read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place counted from the first byte; errors as for ``read``."""
        self._require(offset)
        return super().seek(offset, whence)

    def _require(self, end: int) -> None:
        if end > LARGEST:
            raise UserError(f"{self.name}: unpacks to more than {LARGEST:,} bytes; CIFAR's archives have 186 million")


def _members(path: Path, layout: _Layout) -> dict[str, dict[bytes, Any]]:
    """The contents of an archive's pickles, by member name."""
    wanted = {f"{layout.folder}/{name}": name for name in (layout.meta, *layout.train, *layout.test)}
    found = {}
    try:
        with _Bounded(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                if member.name in wanted and member.isfile():
                    content = archive.extractfile(member)
                    assert content is not None
                    name = wanted[member.name]
                    found[name] = _Unpickler.dictionary(content, f"{path}, {name}")
    except DAMAGE as error:
        raise UserError(f"{path}: truncated, or not a .tar.gz archive ({error})") from error
    for place, name in wanted.items():
        if name not in found:
            raise UserError(f"{path}: it contains no file {place}; is it {layout.archive}?")
    return found


def _check_names(where: str, meta: dict[bytes, Any], key: bytes, classes: list[str]) -> None:
    """Make sure that the described classes are those of the archive."""
    names = meta.get(key)
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise UserError(f"{where}: no class names under {key.decode()!r}")
    class_names.require_same([name.decode(errors="replace") for name in names], classes, where)


def _batch(where: str, content: dict[bytes, Any], key: bytes) -> tuple[Array, Array]:
    """The images ``(n, 3072)`` uint8 and labels ``(n,)`` int64 of one pickle."""
    data, labels = content.get(b"data"), content.get(key)
    rows = data.array if isinstance(data, _Array) else None
    if rows is None or rows.ndim != 2 or rows.shape[1] != PIXELS:
        shape = "no array" if rows is None else f"an array of shape {rows.shape}"
        raise UserError(f"{where}: 'data' is {shape}, not one of shape (images, {PIXELS})")
    if not isinstance(labels, list) or not all(type(label) is int and abs(label) < 2**31 for label in labels):
        raise UserError(f"{where}: no list of whole numbers under {key.decode()!r}")
    if len(labels) != len(rows):
        raise UserError(f"{where}: {len(rows)} images but {len(labels)} labels")
    return rows, np.array(labels, np.int64)


def _stream(batches: list[tuple[Array, Array]], where: str) -> Stream:
    step = chunk_rows(SHAPE)

    def chunks() -> Iterator[Array]:
        for images, _ in batches:
            for start in range(0, len(images), step):
                yield images[start : start + step].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)

    return Stream(where, np.concatenate([labels for _, labels in batches]), chunks)


class _Array:
    """Replaces ``_reconstruct(ndarray, (0,), b"b")``, which a pickle calls for an array, and takes its state."""

    array: Array | None = None

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        version, shape, kind, by_columns, data = state
        if (version, by_columns) != (1, False) or not isinstance(kind, _Kind) or not isinstance(data, bytes):
            raise ValueError("an array of another layout")
        self.array = np.frombuffer(data, np.uint8).reshape(shape)


class _Kind:
    """Replaces ``dtype("u1", 0, 1)``, which a pickle calls for the type of an array, and takes its state."""

    def __init__(self, name: Any, *flags: Any) -> None:
        if name != b"u1":
            raise ValueError(f"an array of {name!r}, not of unsigned bytes")

    def __setstate__(self, state: Any) -> None:
        pass


class _Class:
    """Replaces the class that a pickle passes to ``_reconstruct``."""


class _Unpickler(pickle.Unpickler):
    """Reads dictionaries, lists, numbers, byte strings and arrays of unsigned bytes; refuses anything else by name."""

    ADMITTED = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Class,
        ("numpy", "dtype"): _Kind,
    }

    def find_class(self, module: str, name: str) -> Any:
        """The replacement for a global of NumPy.

        Raises:
            UserError: the pickle names another global.
        """
        try:
            return self.ADMITTED[module, name]
        except KeyError:
            raise UserError(f"the pickle calls for {module}.{name}, which a CIFAR archive never does") from None

    @classmethod
    def dictionary(cls, file: Any, where: str) -> dict[bytes, Any]:
        """The dictionary in a pickle written by Python 2.

        Raises:
            UserError: the pickle is damaged or contains something else.
        """
        try:
            content = cls(file, encoding="bytes").load()
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        except MALFORMED as error:
            raise UserError(f"{where}: a damaged pickle ({error})") from error
        if not isinstance(content, dict):
            raise UserError(f"{where}: the pickle contains no dictionary")
        return content
