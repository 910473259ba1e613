"""An ``.npy`` file that grows from run to run of a job until it is whole."""

from __future__ import annotations

import io
import logging
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing

from unlearnable import files
from unlearnable.errors import UserError
from unlearnable.unfinished import side_file

log = logging.getLogger(__name__)

CHUNK = 2**24  # bytes that are read at once


class GrowingArray:
    """The side file of an array: its header and its first rows. ``growing`` opens one.

    Attributes:
        rows: how many rows are in it.
    """

    def __init__(self, file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file, self._shape, self._dtype = file, shape, dtype
        self._row_bytes = dtype.itemsize * math.prod(shape[1:])
        header = io.BytesIO()
        about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, about)
        self._header = header.getvalue()
        self.rows, self._checksum = 0, 0

    def begin(self) -> None:
        """Forget all rows, if there are any."""
        self._file.truncate(0)
        self._file.write(self._header)
        self.rows, self._checksum = 0, zlib.crc32(self._header)

    def resume(self, saved: dict[str, int]) -> bool:
        """Keep the rows that ``save`` told of and forget those after them; False where they are not in the file."""
        left = len(self._header) + saved["rows"] * self._row_bytes
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

    def write(self, rows: np.ndarray[Any, Any]) -> None:
        """Append ``rows``.

        Raises:
            ValueError: they are of another kind than was announced, or there are too many.
        """
        if rows.dtype != self._dtype or rows.shape[1:] != self._shape[1:] or self.rows + len(rows) > self._shape[0]:
            raise ValueError(
                f"{rows.dtype} rows of shape {rows.shape} at row {self.rows} do not fit into "
                f"{self._dtype} {self._shape}"
            )
        content = np.ascontiguousarray(rows).tobytes()
        self._file.write(content)
        self.rows, self._checksum = self.rows + len(rows), zlib.crc32(content, self._checksum)

    def sha256(self) -> str:
        """The SHA-256 of the file as it stands."""
        self._file.flush()
        return files.sha256(self._file.name)

    def save(self) -> dict[str, int]:
        """Make sure that all rows are on disk, and tell what is needed to go on from there."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"rows": self.rows, "checksum": self._checksum}


@contextmanager
def growing(
    path: str | Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike, saved: dict[str, int] | None
) -> Iterator[GrowingArray]:
    """Open the side file of an ``.npy`` file; when all rows are in it, it gets the name ``path``.

    However the job ends before, the side file stays for the next one.

    Args:
        path: of the whole file.
        shape: of the whole array.
        dtype: of its values.
        saved: what ``save`` told last; None to begin with the first row. Rows that are not there as they were saved
            are a reason to begin, too.

    Raises:
        UserError: the disk is full.
        ValueError: fewer rows were written than announced.
    """
    path = Path(path)
    beside = side_file(path, f".{path.name}.part")
    with files.naming_a_full_disk(path):
        beside.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "a+b") as file:
            array = GrowingArray(file, shape, np.dtype(dtype))
            if saved is None or not array.resume(saved):
                if saved is not None:
                    log.warning("%s: not what the checkpoint tells of; starting from the beginning", beside)
                array.begin()
            yield array
            if array.rows != shape[0]:
                raise ValueError(f"{path}: {array.rows} rows were written of {shape[0]}")
            saved = array.save()
        _finish(beside, path, saved["checksum"])


def _finish(beside: Path, path: Path, checksum: int) -> None:
    """Give the whole side file its name; it may come from another disk, where others may have written to it."""
    if beside.parent == path.parent:
        os.replace(beside, path)
        return
    copied = 0
    with open(beside, "rb") as source, files.atomic(path) as file:
        while piece := source.read(CHUNK):
            file.write(piece)
            copied = zlib.crc32(piece, copied)
        if copied != checksum:
            raise UserError(f"{beside}: not what was written to it; make sure that no other job does, and run again")
    beside.unlink()
