"""The Snakemake process of a job, and whether it still runs.

A killed Snakemake does not kill its jobs, and the shell between the two hides its death. A job that outlived it would
occupy its GPU and files for nothing.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path

VARIABLE = "UNLEARNABLE_SNAKEMAKE"


class Process:
    """Another process of this machine, distinguished from a later one with the same number.

    Args:
        pid: its number.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._began = _began(pid)
        self._handle: int | None = None
        self._poll = select.poll()
        try:
            self._handle = os.pidfd_open(pid)
            self._poll.register(self._handle, select.POLLIN)
        except (AttributeError, OSError):
            pass  # it is gone, or this is not a recent Linux: only its number is known
        self._gone = not self._is_there()

    def __del__(self) -> None:
        """Close the handle."""
        if self._handle is not None:
            os.close(self._handle)

    def gone(self) -> bool:
        """Whether it has ended; takes about a microsecond, so a loop can check after every step."""
        self._gone = self._gone or not self._is_there()
        return self._gone

    def older_than(self, pid: int) -> bool:
        """Whether it started before another one, or within the same hundredth of a second."""
        return self._began <= _began(pid)

    def _is_there(self) -> bool:
        if self._handle is not None:
            return not self._poll.poll(0)
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, PermissionError):  # there is none, or it belongs to another user
            return False
        return _began(self.pid) == self._began


def snakemake() -> Process | None:
    """The Snakemake process that started this job; None if there is none."""
    pid = os.environ.get(VARIABLE)
    return None if pid is None else Process(int(pid))


def why_unwanted(process: Process | None) -> Callable[[], str | None]:
    """For ``Loop.unwanted``: reports that a Snakemake process is gone; without a process, never."""

    def why() -> str | None:
        return f"Snakemake (process {process.pid}) is gone" if process is not None and process.gone() else None

    return why


def orphaned() -> bool:
    """Whether the Snakemake process that started this job is already gone."""
    process = snakemake()
    return process is not None and (process.gone() or not process.older_than(os.getpid()))


def _began(pid: int) -> int:
    """When a process started, in ticks since boot; 0 if this is unknown or the process is gone."""
    try:
        about = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(about.rpartition(")")[2].split()[19])  # the 22nd field; the 2nd, a name in brackets, may hold anything
