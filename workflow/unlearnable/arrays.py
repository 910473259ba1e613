"""``.npy`` arrays: written whole or row by row, never as pickles."""

from __future__ import annotations

import hashlib
import io
import logging
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing

from unlearnable import files
from unlearnable.errors import UserError
from unlearnable.files import atomic

log = logging.getLogger(__name__)
CHUNK = 2**24  # bytes read at once


class Rows:
    """An ``.npy`` file written from its first row to its last; open one with ``stream_array`` or ``growing``.

    Attributes:
        rows: number of rows written so far.
    """

    def __init__(self, file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], prefix: str = "") -> None:
        self._file, self._shape, self._dtype, self._prefix = file, shape, dtype, prefix
        header = io.BytesIO()
        about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, about)
        self._header = header.getvalue()
        self.rows = 0

    def write(self, rows: np.ndarray[Any, Any]) -> None:
        """Append ``rows``.

        Raises:
            ValueError: their type or shape is not the announced one, or there are too many.
        """
        if rows.dtype != self._dtype or rows.shape[1:] != self._shape[1:] or self.rows + len(rows) > self._shape[0]:
            raise ValueError(
                f"{self._prefix}{rows.dtype} rows of shape {rows.shape} at row {self.rows} do not fit into "
                f"{self._dtype} {self._shape}"
            )
        if rows.size:
            self._put(np.ascontiguousarray(rows).data.cast("B"))
        self.rows += len(rows)

    def require_complete(self, path: Path) -> None:
        """Make sure that every announced row of ``path`` was written.

        Raises:
            ValueError: some are missing.
        """
        if self.rows != self._shape[0]:
            raise ValueError(f"{path}: {self.rows} rows were written of {self._shape[0]}")

    def _put(self, content: bytes | memoryview) -> None:
        self._file.write(content)


class ArrayWriter(Rows):
    """An array that is hashed while it is written; open one with ``stream_array``."""

    def __init__(self, file: BinaryIO, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(file, shape, dtype, prefix=f"{path}: ")
        self._hash = hashlib.sha256()
        self._put(self._header)

    def _put(self, content: bytes | memoryview) -> None:
        super()._put(content)
        self._hash.update(content)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes written so far; once the file is complete, of the file."""
        return self._hash.hexdigest()


class GrowingArray(Rows):
    """The side file of an array, which a later job can continue; open one with ``growing``."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(file, shape, dtype)
        self._checksum = 0

    def begin(self) -> None:
        """Discard all rows."""
        self._file.truncate(0)
        self.rows, self._checksum = 0, 0
        self._put(self._header)

    def _put(self, content: bytes | memoryview) -> None:
        super()._put(content)
        self._checksum = zlib.crc32(content, self._checksum)

    def resume(self, saved: dict[str, int]) -> bool:
        """Keep the rows that ``saved`` counts and discard later ones; False if they are not in the file."""
        row_bytes = self._dtype.itemsize * math.prod(self._shape[1:])
        left = len(self._header) + saved["rows"] * row_bytes
        end, checksum = left, 0
        self._file.seek(0)
        while left and (piece := self._file.read(min(left, CHUNK))):
            checksum = zlib.crc32(piece, checksum)
            left -= len(piece)
        if left or checksum != saved["checksum"]:
            return False
        self._file.truncate(end)
        self.rows, self._checksum = saved["rows"], checksum
        return True

    def sha256(self) -> str:
        """The SHA-256 of the file as it is now."""
        self._file.flush()
        return files.sha256(self._file.name)

    def save(self) -> dict[str, int]:
        """Flush all rows to disk; returns what ``growing`` needs to continue after them."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"rows": self.rows, "checksum": self._checksum}


@contextmanager
def growing(
    path: str | Path, beside: Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike, saved: dict[str, int] | None
) -> Iterator[GrowingArray]:
    """Open the side file ``beside`` of an ``.npy`` file; once it holds all rows, rename it to ``path``.

    If the job ends before that, the side file stays for the next job.

    Args:
        path: of the whole file.
        beside: of the side file; it may be on another disk.
        shape: of the whole array.
        dtype: of its values.
        saved: what ``save`` returned last; None to start with the first row. If the file does not hold those rows as
            saved, writing starts with the first row, too.

    Raises:
        UserError: as for ``files.naming_disk_faults``.
        ValueError: fewer rows were written than announced.
    """
    path = Path(path)
    with files.naming_disk_faults(path):
        beside.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "a+b") as file:
            array = GrowingArray(file, shape, np.dtype(dtype))
            if saved is None or not array.resume(saved):
                if saved is not None:
                    log.warning("%s: lacks the rows that the checkpoint counts; starting from the beginning", beside)
                array.begin()
            yield array
            array.require_complete(path)
            saved = array.save()
        _finish(beside, path, saved["checksum"])


def _finish(beside: Path, path: Path, checksum: int) -> None:
    """Rename the complete side file; it may be on another disk, where another job may have written to it."""
    if beside.parent == path.parent:
        files.rename(beside, path)
        return
    copied = 0
    with open(beside, "rb") as source, files.atomic(path) as file:
        while piece := source.read(CHUNK):
            file.write(piece)
            copied = zlib.crc32(piece, copied)
        if copied != checksum:
            raise UserError(f"{beside}: changed by another job; let only one job write to it, and run again")
    beside.unlink()


@contextmanager
def stream_array(path: str | Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> Iterator[ArrayWriter]:
    """Open an ``.npy`` file (never a pickle) for writing row by row; it appears once it is complete.

    Rows are written to the file, not through a memory map, so that a full disk is an error and not a crash.

    Args:
        path: of the file.
        shape: of the whole array, of one dimension or more.
        dtype: of its values.

    Raises:
        UserError: as for ``files.naming_disk_faults``.
        ValueError: the rows written are not those announced.
    """
    kind = np.dtype(dtype)
    if kind.hasobject:
        raise ValueError(f"{path}: an array of objects would be a pickle")
    with atomic(path) as file:
        writer = ArrayWriter(file, Path(path), shape, kind)
        yield writer
        writer.require_complete(Path(path))


def write_array(path: str | Path, array: np.ndarray[Any, Any]) -> str:
    """Write one array of one dimension or more as ``.npy`` (never a pickle); returns the file's SHA-256."""
    with stream_array(path, array.shape, array.dtype) as file:  # not np.save, which hides why a write failed
        file.write(array)
    return file.sha256


def read_array(path: str | Path) -> np.ndarray[Any, Any]:
    """Read one ``.npy`` array (never a pickle).

    Raises:
        UserError: the file is damaged or not an ``.npy`` array.
    """
    return _load(path, None)


def map_array(path: str | Path) -> np.ndarray[Any, Any]:
    """Map one ``.npy`` array (never a pickle) into memory, read-only; its values are loaded when they are used.

    Raises:
        UserError: the file is damaged or not an ``.npy`` array.
    """
    return _load(path, "r").view(np.ndarray)  # a plain array, whose slices cost less than a memmap's


def _load(path: str | Path, mmap_mode: Literal["r"] | None) -> np.ndarray[Any, Any]:
    try:
        _require_announced_size(path)
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not a complete .npy array ({error}); delete it and run again") from error
    return array


def _require_announced_size(path: str | Path) -> None:
    """Make sure that an ``.npy`` file is as long as its header says, before memory is allocated for it.

    Raises:
        UserError: it is a pipe, a device or a socket.
        ValueError: it is not an ``.npy`` file, or has another length.
    """
    with files.open_regular(path) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        announced = math.prod(shape) * dtype.itemsize
        follow = os.fstat(file.fileno()).st_size - file.tell()
    if announced != follow and not dtype.hasobject:
        raise ValueError(f"its header announces {announced} bytes, but {follow} follow")
