"""The queue for GPUs: a waiting job writes a ticket file and holds a lock on it.

A job does not take devices for which the owner of an earlier ticket waits. Otherwise a job for several devices would
wait as long as jobs for one keep arriving. Tickets determine only the order, never which job has a device.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from unlearnable.jobs import locks

PREFIX = "waiting-"
ASLEEP = 60.0  # seconds after which a ticket expires unless its owner refreshes it (a suspended process does not)


class Ticket:
    """A place in the queue, until the end of a ``with`` block.

    Args:
        folder: returns the folder of all tickets, created if missing.
        names: the devices that its owner waits for.
    """

    def __init__(self, folder: Callable[[], Path], names: list[str]) -> None:
        # The monotonic clock is the same for all processes of a host, and later jobs get later numbers.
        self._name = f"{PREFIX}{time.monotonic_ns():020d}-{os.getpid()}"
        self._folder, self._names = folder, names
        self._path = Path(self._name)
        self._descriptor: int | None = None

    def __enter__(self) -> Ticket:
        """Queue up."""
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the queue."""
        if self._descriptor is not None:
            if locks.is_at(self._descriptor, self._path):
                self._path.unlink(missing_ok=True)
            locks.release(self._descriptor)

    def _write(self) -> None:
        """Write the ticket, unless another process is looking whether it is locked; then ``refresh`` tries again."""
        self._path = self._folder() / self._name
        self._descriptor = locks.open_locked(self._path)
        if self._descriptor is not None:
            locks.hold(self._descriptor)
            os.pwrite(self._descriptor, "\n".join(self._names).encode(), 0)

    def refresh(self) -> None:
        """Show that the owner is awake; write the ticket again if it is missing."""
        if self._descriptor is not None:
            if locks.is_at(self._descriptor, self._path):
                os.utime(self._descriptor)
                return
            locks.release(self._descriptor)  # /tmp was cleaned
        self._write()

    def ahead(self) -> tuple[set[str], int]:
        """The devices that live owners of earlier tickets wait for, and the number of these owners."""
        folder = self._folder()
        reserved: set[str] = set()
        owners = 0
        for name in sorted(name for name in os.listdir(folder) if name.startswith(PREFIX)):
            if name >= self._name:
                break
            path = folder / name
            with suppress(OSError):  # gone meanwhile, another user's, or a pipe: only the order depends on it
                if not locks.is_locked(path, locks.SHARED):
                    path.unlink()
                elif time.time() - os.lstat(path).st_mtime < ASLEEP:
                    reserved |= set(locks.lines(path))
                    owners += 1
        return reserved, owners
