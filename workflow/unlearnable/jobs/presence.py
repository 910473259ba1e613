"""Who is at work in a folder, known from file locks that the system drops when a process dies, however it dies.

Snakemake's own lock is a file that outlives a `kill -9`; until somebody removes it, nothing runs. Here every
Snakemake process and every job holds a shared lock on one file. Whoever can lock it exclusively knows that nobody else
is left, and that a lock of Snakemake's can only be a dead one's. The Snakemake process that runs jobs holds its record
of them (see ``unlearnable.tools.watch.record``) as well.
"""

from __future__ import annotations

import errno
import fcntl
import logging
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)
STATE = Path(".snakemake")  # in the working directory, as Snakemake has it
RECORD = STATE / "record.jsonl"


def join() -> IO[str]:
    """Be counted as at work for as long as the returned file is open."""
    STATE.mkdir(exist_ok=True)
    file = open(STATE / "running", "a+", encoding="ascii")  # noqa: SIM115 - held by the caller
    _lock(file, fcntl.LOCK_SH)
    return file


def join_and_clear_dead_lock() -> IO[str]:
    """As ``join``; and when nobody else is at work, remove the lock that a killed Snakemake left behind.

    When only jobs of a killed one are, say so: Snakemake itself will refuse to start, and advise to unlock.
    """
    file = join()
    locks = list(STATE.glob("locks/*.lock"))
    if _lockable(file, fcntl.LOCK_EX):
        for lock in locks:
            lock.unlink()
    elif locks and not running_snakemake():
        log.warning(
            "Jobs are still at work here whose Snakemake is gone. Those on this machine stop by themselves: long ones "
            "save their state after the step they are in, the others end with their work, in minutes at most but for "
            "large datasets. Those on a cluster end there, or are to be cancelled. Then the same command goes on; do "
            "not unlock the folder before."
        )
    _lock(file, fcntl.LOCK_SH)
    return file


def running_snakemake(directory: Path = Path()) -> bool:
    """Whether a Snakemake process is running jobs in a working directory."""
    try:
        with open(directory / RECORD, encoding="utf-8") as file:
            return not _lockable(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def anybody_at_work(directory: Path = Path()) -> bool:
    """Whether any process of Snakemake or any job is at work in a working directory."""
    try:
        with open(directory / STATE / "running", "r+", encoding="ascii") as file:
            return not _lockable(file, fcntl.LOCK_EX)
    except FileNotFoundError:
        return False


def _lockable(file: IO[str], how: int) -> bool:
    """Lock a file if that is possible at once; where it never is, somebody may be there."""
    try:
        return _lock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False


def _lock(file: IO[str], how: int) -> bool:
    """Lock a file; False on a file system without locks, where a dead Snakemake's lock has to be removed by hand."""
    try:
        fcntl.flock(file, how)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        log.warning("%s: this file system has no locks (%s)", STATE, error.strerror)
        return False
    return True
