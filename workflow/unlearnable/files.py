"""Files that are either complete or absent, and manifests that hold their checksums."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from unlearnable.errors import UserError, disk_fault, regenerate

HASHES = "files"  # in a JSON file: the SHA-256 of the other files of its job, by path from its own folder
SEAL = "seal"  # in a JSON file: the SHA-256 of its content without this key


CANNOT_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # errors of a file system that cannot sync folders


@contextmanager
def naming_disk_faults(path: str | Path) -> Iterator[None]:
    """Turn the error of a full, read-only or broken disk into one clear line.

    The line names ``path``, unless the error names a file in another folder.

    Raises:
        UserError: the disk is full, read-only or broken, the file would exceed the largest size allowed, or it is
            another user's.
    """
    try:
        yield
    except OSError as error:
        elsewhere = isinstance(error.filename, str | Path) and Path(error.filename).parent != Path(path).parent
        fault = disk_fault(error, None if elsewhere else path)
        if fault is None:
            raise
        raise UserError(fault) from error


@contextmanager
def atomic(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing; it appears under ``path`` only once it is complete and on disk.

    Only one process at a time may write a path, so leftovers are those of killed processes and are removed.

    Raises:
        UserError: as for ``naming_disk_faults``; an older file at ``path`` is untouched.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with naming_disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        try:
            with open(beside, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            rename(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def rename(file: Path, path: Path) -> None:
    """Rename a file that is on disk, and sync the folder, without which a power cut could take the new name away."""
    os.replace(file, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
    finally:
        os.close(folder)


def remove_leftovers(path: str | Path) -> None:
    """Remove the temporary files of ``path`` left by processes that were killed in ``atomic``."""
    path = Path(path)
    for beside in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if beside.name.removeprefix(f".{path.name}.").removesuffix(".part").isdecimal():  # else another file's
            beside.unlink(missing_ok=True)


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write ``content`` as indented JSON with sorted keys and a seal, by which ``read_json`` detects any change.

    List the job's other files under ``HASHES``, as returned by ``hashes``, for ``check_files`` and ``verify``.

    Raises:
        UserError: as for ``naming_disk_faults``.
        ValueError: a number cannot be written as JSON.
    """
    with atomic(path) as file:
        file.write(_sealed(json.loads(json.dumps(content, allow_nan=False))))


def read_json(path: str | Path) -> dict[str, Any]:
    """The content that ``write_json`` wrote, if the file has not changed since.

    Raises:
        UserError: even a single bit has changed; or as for ``sha256``.
    """
    with naming_disk_faults(path):
        raw = Path(path).read_bytes()
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file ({error}); {regenerate(path)}") from error
    if isinstance(content, dict):
        if content.pop(SEAL, None) is None:
            raise UserError(f"{path}: has no seal: an earlier version wrote it, or it was edited; {regenerate(path)}")
        if raw == _sealed(content):
            return content
    raise UserError(f"{path}: damaged or edited: its seal does not fit its content; {regenerate(path)}")


def _sealed(content: dict[str, Any]) -> bytes:
    def text(value: dict[str, Any]) -> bytes:
        return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()

    return text(content | {SEAL: hashlib.sha256(text(content)).hexdigest()})


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        UserError: its disk is broken, or it is another user's.
    """
    with naming_disk_faults(path):
        return _sha256(path)


def _sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: Any) -> str:
    """The SHA-256 of JSON-expressible ``parts``, in hexadecimal."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def hashes(*paths: str | Path) -> dict[str, str]:
    """The SHA-256 of some files by name, for the JSON file beside them."""
    return {Path(path).name: sha256(path) for path in paths}


def check_files(manifest: str | Path, *paths: str | Path) -> None:
    """Compare files with their hashes in their job's JSON file.

    Raises:
        UserError: the JSON file is damaged or has no checksum for a file, or a file is missing or has changed.
    """
    known = read_json(manifest).get(HASHES, {})
    for path in paths:
        name = Path(os.path.relpath(path, Path(manifest).parent)).as_posix()
        if name not in known:
            raise UserError(f"{manifest}: has no checksum for {path}; {regenerate(manifest)}")
        found = damage(path, known[name])
        if found is not None:
            raise UserError(f"{path}: {found}; {regenerate(manifest)}")


def damage(path: str | Path, expected: str) -> str | None:
    """What is wrong with a file that should have this SHA-256; None if nothing is."""
    try:
        found = _sha256(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return "the file is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if found == expected else f"checksum mismatch: expected sha256 {expected}, found {found}"


def write_checksums(path: str | Path, *written: str | Path) -> None:
    """Write the SHA-256 of files beside ``path`` in the format that ``sha256sum --check`` reads.

    Raises:
        UserError: as for ``naming_disk_faults``.
    """
    with atomic(path) as file:
        file.write("".join(f"{found}  {name}\n" for name, found in hashes(*written).items()).encode())


def read_checksums(path: str | Path) -> dict[str, str]:
    """The SHA-256 of files by name, as ``write_checksums`` wrote them.

    Raises:
        UserError: a line has another format; or as for ``sha256``.
    """
    with naming_disk_faults(path):
        text = Path(path).read_bytes().decode("utf-8", "replace")
    lines = [re.fullmatch("([0-9a-f]{64})  (.+)", line) for line in text.removesuffix("\n").split("\n")]
    if not text.endswith("\n") or None in lines:
        raise UserError(f"{path}: not lines of SHA-256 and file name; {regenerate(path)}")
    return {line[2]: line[1] for line in lines if line is not None}
