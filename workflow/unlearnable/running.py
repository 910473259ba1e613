"""Who is at work in a folder, known from file locks that the system drops when a process dies, however it dies.

Snakemake's own lock is a file that outlives a `kill -9`; until somebody removes it, nothing runs. Here every
Snakemake process and every job holds a shared lock on one file. Whoever can lock it exclusively knows that nobody else
is left, and that a lock of Snakemake's can only be a dead one's.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

STATE = Path(".snakemake")  # in the working directory, as Snakemake has it


def join() -> IO[str]:
    """Be counted as at work for as long as the returned file is open."""
    STATE.mkdir(exist_ok=True)
    file = open(STATE / "running", "a+", encoding="ascii")  # noqa: SIM115 - held by the caller
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def join_and_clear_dead_lock() -> IO[str]:
    """As ``join``; and when nobody else is at work, remove the lock that a killed Snakemake left behind."""
    file = join()
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # somebody is at work: Snakemake's own lock decides
    else:
        for lock in STATE.glob("locks/*.lock"):
            lock.unlink()
    fcntl.flock(file, fcntl.LOCK_SH)
    return file
