"""The folder of the GPU leases: who may delete what is in it, and the names of its files.

Who may delete a lock file can lease its GPU a second time. In a folder with the sticky bit these are root, the owner of
the folder and the owner of the file. So a folder in which all users could delete files, or another user without that
bit, is refused. The members of a folder's group are trusted, and so is everybody who may rename the folder.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unlearnable.errors import UserError
from unlearnable.jobs import locks

DEFAULT = Path("/tmp/unlearnable-leases")  # not TMPDIR, which may differ between users and jobs of a host
FOLDER = "UNLEARNABLE_LEASES"


def _chosen() -> Path:
    return Path(os.environ.get(FOLDER) or DEFAULT)


@contextmanager
def usable_folder() -> Iterator[None]:
    """Name the folder in the message if the system does not let locks be used there."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{_chosen()}: GPU leases cannot be kept here ({error}); "
            f"set {FOLDER} to a folder on a local disk that all users of the GPUs can write to"
        ) from error


def trusted_folder() -> Path:
    """The folder of all leases, created if missing: all users can write there, but only remove their own files.

    Raises:
        UserError: somebody else could remove the locks that are held there.
        OSError: it cannot be created, or is not a folder.
    """
    path = _chosen()
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        with locks.permissions_for_all():
            path.mkdir(mode=0o1777, exist_ok=True)
        status = os.lstat(path)
    elsewhere = f"set {FOLDER} to another folder"
    if stat.S_ISLNK(status.st_mode):
        raise UserError(f"{path}: a link, which may lead anywhere; remove it, or {elsewhere}")
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if not status.st_mode & stat.S_ISVTX:
        foreign = status.st_uid not in (0, os.geteuid())
        if foreign or status.st_mode & stat.S_IWOTH:
            who = f"it belongs to user {status.st_uid}" if foreign else "every user can write there"
            raise UserError(
                f"{path}: {who} and it has no sticky bit, so locks that are held could be removed there; "
                f"let root or its owner set the bit (chmod 1777 {path}), or {elsewhere}"
            )
    return path


def require_plain_files(folder: Path) -> None:
    """Make sure that the folder holds nothing that a job has not put there.

    Raises:
        UserError: it does.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                raise UserError(
                    f"{entry.path}: not a plain file, so no job has put it there; let its owner or root remove it, "
                    f"or set {FOLDER} to another folder"
                )


def coded(device: str) -> str:
    """A device's name as part of a file's name; different devices have different ones."""
    return re.sub(rb"[^A-Za-z0-9_-]", lambda found: b"%%%02x" % ord(found[0]), os.fsencode(device)).decode("ascii")


def file_of(device: str) -> Path:
    """The file whose lock is a device's lease. Lines: the job's process id, its description, the lease's token."""
    return _chosen() / f"device-{coded(device)}"


def ranks_file_of(device: str) -> Path:
    """The file that other processes of the job lock, in shared mode."""
    return _chosen() / f"device-{coded(device)}.ranks"
