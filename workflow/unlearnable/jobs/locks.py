"""File locks (flock), which the kernel drops when a process ends, however it ends.

Lock descriptors are closed on exec. Those passed to ``hold`` are also closed in forked children, so that only one
process has the lock.

Files may lie in a folder where every user can write. So none is opened that could be something else than a plain file,
such as a pipe, which would let its opener wait, and no lock is waited for without an end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX
UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # errors of a file system without locks

PATIENCE = 30.0  # seconds to wait for a lock that others hold for a moment only
POLL = 0.05  # seconds between two attempts

_held: set[int] = set()


def _close_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


def lock(file: int | IO[str], mode: int) -> None:
    """Lock an open file, or change the mode of its lock; waits while others look whether it is locked.

    Raises:
        OSError: it is still locked after ``PATIENCE`` seconds.
    """
    end = time.monotonic() + PATIENCE
    while not try_lock(file, mode):
        if time.monotonic() >= end:
            raise OSError(errno.EBUSY, "another process has locked it")
        time.sleep(POLL)


def try_lock(file: int | IO[str], mode: int) -> bool:
    """Lock an open file if this is possible at once; returns whether it is locked."""
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path, mode: int) -> bool:
    """Whether a lock on a file keeps others from locking it in ``mode``; False if there is no file.

    Raises:
        OSError: it cannot be opened, or is not a plain file.
    """
    try:
        descriptor = _open_to_look(path, mode)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, mode)
    finally:
        os.close(descriptor)


def _open_to_look(path: Path, mode: int) -> int:
    if mode == EXCLUSIVE:  # on NFS an exclusive lock needs a descriptor that can write
        try:
            return open_plain(path, os.O_RDWR)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS):
                raise
    return open_plain(path, os.O_RDONLY)


def open_plain(path: Path, flags: int) -> int:
    """A descriptor of a plain file; waits neither for the other end of a pipe nor for a device.

    Raises:
        OSError: it cannot be opened, or is a link, a pipe, a folder or a device.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a plain file", str(path))


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at ``path``; it may have been deleted before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def holds_any() -> bool:
    """Whether this process holds a descriptor."""
    return bool(_held)


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
            descriptor = open_plain(path, os.O_RDWR)
        except FileNotFoundError:
            with suppress(FileExistsError), permissions_for_all():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            continue
        if os.fstat(descriptor).st_nlink <= 1:
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "a file with more than one name", str(path))


def open_locked(path: Path) -> int | None:
    """As ``open_for_all``, with the file's exclusive lock; None if another process has it."""
    descriptor = open_for_all(path)
    if try_lock(descriptor, EXCLUSIVE) and is_at(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def lines(path: Path) -> list[str]:
    """The lines of a small file; none if there is no file. Every user can write them: only messages may depend on them.

    Raises:
        OSError: as for ``open_plain``.
    """
    try:
        descriptor = open_plain(path, os.O_RDONLY)
    except FileNotFoundError:
        return []
    with open(descriptor, "rb") as file:
        return file.read(2**16).decode("utf-8", "replace").splitlines()


@contextmanager
def permissions_for_all() -> Iterator[None]:
    """Create files with exactly the requested permissions, ignoring the umask."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)
