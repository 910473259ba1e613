"""Files that are whole or absent, and manifests that tell what is in them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unlearnable.errors import UserError


@contextmanager
def atomic(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under ``path`` only when it is complete and on disk.

    Raises:
        UserError: the disk is full; the file that stood under ``path`` before is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
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


def write_array(path: str | Path, array: np.ndarray[Any, Any]) -> None:
    """Write one array as ``.npy`` (never a pickle)."""
    if array.dtype.hasobject:
        raise ValueError(f"{path}: an array of objects would be a pickle")
    array = np.ascontiguousarray(array)
    with atomic(path) as file:  # not np.save, which hides why a write failed
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        if array.size:
            file.write(array.data.cast("B"))


def read_array(path: str | Path) -> np.ndarray[Any, Any]:
    """Read one ``.npy`` array (never a pickle).

    Raises:
        UserError: the file is damaged or not an ``.npy`` array.
    """
    try:
        array: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
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
