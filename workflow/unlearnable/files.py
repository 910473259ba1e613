"""Files that are either complete or absent, and manifests that hold their checksums."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from unlearnable.errors import UserError, disk_fault, regenerate

HASHES = "files"  # in a JSON file: the SHA-256 of the other files of its job, by path from its own folder
SEAL = "seal"  # in a JSON file: the SHA-256 of its content without this key
JSON_LIMIT = 2**26  # bytes; a manifest of half a million files is smaller
IRREGULAR = {  # may block the reader, or never end
    **dict.fromkeys((stat.S_IFCHR, stat.S_IFBLK), "a device"),
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}
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


def irregular(path: str | Path) -> str | None:
    """What a path leads to if that is neither a file nor a folder; None if it is one of them.

    Raises:
        OSError: there is nothing, or it cannot be looked at.
    """
    kind = IRREGULAR.get(stat.S_IFMT(os.stat(path).st_mode))
    return None if kind is None else f"{kind}, not a regular file"


def open_regular(path: str | Path) -> io.BufferedReader:
    """Open a regular file, or a link to one, for reading.

    Raises:
        UserError: it is a pipe, a device or a socket.
        OSError: it cannot be opened.
    """
    kind = irregular(path)
    if kind is not None:
        raise UserError(f"{path}: {kind}")
    return open(path, "rb")


def read_whole(path: str | Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes.

    Raises:
        UserError: it is larger, or a pipe, a device or a socket.
        OSError: it cannot be opened.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise UserError(f"{path}: {size:,} bytes, more than the {limit:,} that such a file may have")
        return file.read()


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
        OSError: it cannot be opened.
    """
    try:
        with naming_disk_faults(path):
            raw = read_whole(path, JSON_LIMIT)
    except UserError as error:
        raise UserError(f"{error}; {regenerate(path)}") from error
    try:
        content = json.loads(raw)
        sealed = isinstance(content, dict) and content.pop(SEAL, None) is not None
        intact = sealed and raw == _sealed(content)
    except (ValueError, RecursionError) as error:  # the latter from lists within lists
        raise UserError(f"{path}: not a JSON file ({error}); {regenerate(path)}") from error
    if intact:
        return content  # type: ignore[no-any-return]
    if isinstance(content, dict) and not sealed:
        raise UserError(f"{path}: has no seal: an earlier version wrote it, or it was edited; {regenerate(path)}")
    raise UserError(f"{path}: damaged or edited: its seal does not fit its content; {regenerate(path)}")


def peek_json(path: str | Path) -> dict[str, Any] | None:
    """The content of a JSON file, whether or not its seal fits; None if there is none that can be read.

    Checking the seal takes several times as long as reading, and a plan reads thousands of files.
    """
    try:
        content = json.loads(read_whole(path, JSON_LIMIT))
    except (UserError, OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _sealed(content: dict[str, Any]) -> bytes:
    def text(value: dict[str, Any]) -> bytes:
        return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()

    return text(content | {SEAL: hashlib.sha256(text(content)).hexdigest()})


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        UserError: it is a pipe, a device or a socket, its disk is broken, or it is another user's.
        OSError: it cannot be read.
    """
    with naming_disk_faults(path):
        return _sha256(path)


def _sha256(path: str | Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: Any) -> str:
    """The SHA-256 of JSON-expressible ``parts``, in hexadecimal."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def hashes(*paths: str | Path) -> dict[str, str]:
    """The SHA-256 of some files by name, for the JSON file beside them."""
    return {Path(path).name: sha256(path) for path in paths}


def listed_hashes(manifest: str | Path, content: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of a job's files in the content of its JSON file, by path from its folder; none if it lists none.

    Raises:
        UserError: what it lists are no checksums.
    """
    known = content.get(HASHES, {})
    if not isinstance(known, dict) or not all(isinstance(found, str) for found in known.values()):
        raise UserError(f"{manifest}: {HASHES!r} is not a list of files with their checksums; {regenerate(manifest)}")
    return known


def check_files(manifest: str | Path, *paths: str | Path) -> None:
    """Compare files with their hashes in their job's JSON file.

    Raises:
        UserError: the JSON file is damaged or has no checksum for a file, or a file is missing or has changed.
    """
    known = listed_hashes(manifest, read_json(manifest))
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
        kind = irregular(path)
        if kind is not None:
            return kind
        found = _sha256(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return "the file is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError as error:  # a name that no file can have
        return f"cannot be read ({error})"
    return None if found == expected else f"checksum mismatch: expected sha256 {expected}, found {found}"
