"""The files of a dataset: the user's copy or a download, with their checksums checked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from unlearnable import files
from unlearnable.datasets.download import fetch
from unlearnable.errors import UserError
from unlearnable.settings import nearest

log = logging.getLogger(__name__)


def archive(
    given: str | None, name: str, sha256: str, mirrors: Sequence[str], root: Path, downloads: Path
) -> tuple[Path, str]:
    """The archive of a dataset, checked before it is read.

    Args:
        given: the user's copy; None for the download.
        name: of the file at the mirrors.
        sha256: its expected checksum.
        mirrors: addresses of folders with the file.
        root: base folder of a relative path.
        downloads: folder for downloads.

    Returns:
        The archive, and its name in the provenance.

    Raises:
        UserError: it is missing, cannot be downloaded, or has the wrong checksum.
    """
    if given is None:
        instead = f"without a network, get {name} elsewhere and set the dataset's key archive to its path"
        return fetch(addresses(mirrors, name), downloads / name, sha256, instead=instead), name
    path = root / given
    require_file(path, f"; archive must be the path of {name}")
    require_checksum(path, files.sha256(path), sha256)
    return path, given


def given_folder(given: str | None, root: Path) -> Path | None:
    """The user's folder of a dataset's files; None if they must be downloaded, with a warning if a folder is given.

    Args:
        given: the folder in the description; None for the download.
        root: base folder of a relative path.
    """
    if given is None:
        return None
    folder = root / given
    if not folder.is_dir():
        log.warning("%s: no such folder; the official files are downloaded", folder)
        return None
    return folder


def addresses(mirrors: Sequence[str], name: str) -> list[str]:
    """The addresses of a file at the mirrors."""
    return [f"{mirror.rstrip('/')}/{name}" for mirror in mirrors]


def require_file(path: Path, wanted: str = "") -> None:
    """Make sure that there is a regular file, or a link to one.

    Args:
        path: of the file.
        wanted: what would be right, added to the message if there is nothing.

    Raises:
        UserError: there is none.
    """
    if not path.exists() or path.is_dir():
        raise UserError(f"{path}: no such file{wanted}")
    kind = files.irregular(path)
    if kind is not None:
        raise UserError(f"{path}: {kind}")


def require_checksum(path: Path, found: str, expected: str | None) -> None:
    """Make sure that a file has the expected checksum, if there is one.

    Raises:
        UserError: it does not.
    """
    if expected is not None and found != expected:
        raise UserError(
            f"{path}: checksum mismatch: expected sha256 {expected}, found {found}; "
            "if this is the right file, set the dataset's sha256 to the latter"
        )


def checked_hashes(folder: Path, names: Sequence[str], expected: dict[str, str]) -> dict[str, str]:
    """The SHA-256 of files, each compared with the expected one if there is one.

    Raises:
        UserError: a file is missing or has the wrong checksum, or a checksum belongs to none of the files.
    """
    require_known(folder, names, expected)
    found = {}
    for name in names:
        require_file(folder / name, f"; root must be a folder that holds {', '.join(names)}")
        found[name] = files.sha256(folder / name)
        require_checksum(folder / name, found[name], expected.get(name))
    return found


def require_known(folder: Path, names: Sequence[str], expected: dict[str, str]) -> None:
    """Make sure that every checksum belongs to a file of the dataset.

    Raises:
        UserError: one does not, such as that of a misspelt name.
    """
    for name in expected:
        if name not in names:
            raise UserError(f"sha256.{name}: {folder} has no such file of the dataset; {nearest(name, list(names))}")
