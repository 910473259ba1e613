"""File locks (flock), which the kernel drops when a process ends, however it ends.

Lock descriptors are closed on exec. Those passed to ``hold`` are also closed in forked children, so that only one
process has the lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX
UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # errors of a file system without locks

_held: set[int] = set()


def _close_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


def lock(file: int | IO[str], mode: int) -> None:
    """Lock an open file, or change the mode of its lock; waits until this is possible."""
    fcntl.flock(file, mode)


def try_lock(file: int | IO[str], mode: int) -> bool:
    """Lock an open file if this is possible at once; returns whether it is locked."""
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path, mode: int) -> bool:
    """Whether a lock on a file keeps others from locking it in ``mode``; False if there is no file."""
    # On NFS an exclusive lock needs a descriptor that can write. O_NONBLOCK: any user can put a pipe there.
    access = os.O_RDWR if mode == EXCLUSIVE else os.O_RDONLY
    try:
        descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, mode)
    finally:
        os.close(descriptor)


def hold(descriptor: int) -> None:
    """Keep a descriptor, and its lock, in this process only."""
    _held.add(descriptor)


def release(descriptor: int) -> None:
    """Close a descriptor that this process holds; in a forked child it is closed already."""
    if descriptor in _held:
        _held.remove(descriptor)
        os.close(descriptor)


def hold_until_exit() -> None:
    """Keep everything that this process holds now until it ends, even after ``release``."""
    _held.update([os.dup(descriptor) for descriptor in _held])


def open_for_all(path: Path) -> int:
    """A descriptor of a file that every user can lock; the file is created if it is missing.

    Raises:
        OSError: it cannot be opened, or is not a plain file with a single name.
    """
    while True:
        try:
            # Without O_CREAT: in a sticky folder Linux refuses that flag for another user's file (protected_regular).
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            with suppress(FileExistsError), permissions_for_all():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            continue
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file with a single name", str(path))


def open_locked(path: Path) -> int | None:
    """As ``open_for_all``, with the file's exclusive lock; None if another process has it."""
    descriptor = open_for_all(path)
    with suppress(FileNotFoundError):
        # The file may have been deleted before it was locked.
        if try_lock(descriptor, EXCLUSIVE) and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    os.close(descriptor)
    return None


def lines(path: Path) -> list[str]:
    """The lines of a small file. Every user can write them, so only messages may depend on them."""
    with open(path, "rb") as file:
        return file.read(2**16).decode("utf-8", "replace").splitlines()


@contextmanager
def permissions_for_all() -> Iterator[None]:
    """Create files with exactly the requested permissions, ignoring the umask."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)
