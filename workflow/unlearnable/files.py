"""Files that are whole or absent, and manifests that tell what is in them."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing

from unlearnable.errors import UserError


@contextmanager
def atomic(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under ``path`` only when it is complete and on disk.

    One process at a time writes a path: what others left of it was left by killed ones, and is removed.

    Raises:
        UserError: the disk is full; the file that stood under ``path`` before is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{path}: the disk is full; free some space and run again, nothing was lost") from error
        raise
    finally:
        beside.unlink(missing_ok=True)


def remove_leftovers(path: str | Path) -> None:
    """Remove what processes that were killed in ``atomic`` left of ``path``."""
    path = Path(path)
    for beside in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if beside.name.removeprefix(f".{path.name}.").removesuffix(".part").isdecimal():  # else of a longer name
            beside.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as indented JSON with sorted keys."""
    with atomic(path) as file:
        file.write((json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is not JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file ({error}); delete it and run again") from error


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ArrayWriter:
    """An ``.npy`` file that is being written from its first row to its last; ``stream_array`` opens one.

    Attributes:
        rows: how many were written so far.
    """

    def __init__(self, file: BinaryIO, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file, self._path, self._shape, self._dtype = file, path, shape, dtype
        self.rows = 0
        self._hash = hashlib.sha256()
        header = io.BytesIO()
        about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, about)
        self._put(header.getbuffer())

    def _put(self, content: memoryview) -> None:
        self._file.write(content)
        self._hash.update(content)

    def write(self, rows: np.ndarray[Any, Any]) -> None:
        """Append ``rows``.

        Raises:
            ValueError: they are of another kind than was announced, or there are too many.
        """
        self.rows += len(rows)
        if rows.dtype != self._dtype or rows.shape[1:] != self._shape[1:] or self.rows > self._shape[0]:
            raise ValueError(
                f"{self._path}: {rows.dtype} rows of shape {rows.shape} at row {self.rows - len(rows)} do not fit into "
                f"{self._dtype} {self._shape}"
            )
        if rows.size:
            self._put(np.ascontiguousarray(rows).data.cast("B"))

    def require_complete(self) -> None:
        """Make sure that every announced row was written.

        Raises:
            ValueError: some are missing.
        """
        if self.rows != self._shape[0]:
            raise ValueError(f"{self._path}: {self.rows} rows were written of {self._shape[0]}")

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written so far; of the file, once it is complete."""
        return self._hash.hexdigest()


@contextmanager
def stream_array(path: str | Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> Iterator[ArrayWriter]:
    """Open an ``.npy`` file (never a pickle) for writing row by row; it appears when all its rows are there.

    Writing goes through the file and not through a memory map, so that a full disk is an error and not a crash.

    Args:
        path: of the file.
        shape: of the whole array, of one dimension or more.
        dtype: of its values.

    Raises:
        UserError: the disk is full.
        ValueError: other rows were written than announced.
    """
    kind = np.dtype(dtype)
    if kind.hasobject:
        raise ValueError(f"{path}: an array of objects would be a pickle")
    with atomic(path) as file:
        writer = ArrayWriter(file, Path(path), shape, kind)
        yield writer
        writer.require_complete()


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
    """Map one ``.npy`` array (never a pickle) into memory, read-only: what is read of it is loaded then.

    Raises:
        UserError: the file is damaged or not an ``.npy`` array.
    """
    return _load(path, "r").view(np.ndarray)  # a plain array, whose slices cost less than a memmap's


def _load(path: str | Path, mmap_mode: Literal["r"] | None) -> np.ndarray[Any, Any]:
    try:
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not a complete .npy array ({error}); delete it and run again") from error
    return array


def check_hashes(folder: str | Path, hashes: dict[str, str]) -> None:
    """Compare the files of ``folder`` with the SHA-256 a manifest gives.

    Raises:
        UserError: a file is missing or is not the one the manifest describes.
    """
    for name, expected in hashes.items():
        path = Path(folder, name)
        if not path.is_file():
            raise UserError(f"{path}: the file is missing; run the stage that writes it again")
        found = sha256(path)
        if found != expected:
            raise UserError(f"{path}: checksum mismatch: expected sha256 {expected}, found {found}")
