"""Whether Snakemake or jobs run in a working directory, known from file locks that end with their processes.

Snakemake's own lock is a file that outlives a `kill -9`; nothing runs until it is removed by hand. Here every Snakemake
process and every job holds a shared lock on one file. A process that can lock it exclusively knows that no other one
is left, and that a lock of Snakemake's is that of a dead one. The Snakemake process that runs jobs holds its record of
them (see ``unlearnable.tools.watch.record``) as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from unlearnable.jobs import locks

log = logging.getLogger(__name__)
STATE = Path(".snakemake")  # in the working directory, as Snakemake has it
RUNNING = STATE / "running"
RECORD = STATE / "record.jsonl"
Answer = TypeVar("Answer")


def join() -> IO[str]:
    """Count as running here for as long as the returned file is open."""
    STATE.mkdir(exist_ok=True)
    file = open(RUNNING, "a+", encoding="ascii")  # noqa: SIM115 - held by the caller
    _share(file)
    return file


def join_and_clear_dead_lock() -> IO[str]:
    """As ``join``; and when nothing else runs here, remove the lock that a killed Snakemake left behind.

    When only jobs of a killed one run, say so: Snakemake itself will refuse to start, and advise to unlock.
    """
    file = join()
    locks_of_snakemake = list(STATE.glob("locks/*.lock"))
    if _supported(lambda: locks.try_lock(file, locks.EXCLUSIVE), otherwise=False):
        for path in locks_of_snakemake:
            path.unlink()
    elif locks_of_snakemake and not snakemake_running():
        log.warning(
            "Jobs are still at work here whose Snakemake is gone. Those on this machine stop by themselves: long ones "
            "save their state after the current step, the others end with their work, in minutes at most except for "
            "large datasets. Those on a cluster end by themselves too, or have to be cancelled. Run the same command "
            "again after that; do not unlock the folder before."
        )
    _share(file)
    return file


def snakemake_running(directory: Path = Path()) -> bool:
    """Whether a Snakemake process is running jobs in a working directory."""
    return _supported(lambda: locks.is_locked(directory / RECORD, locks.SHARED), otherwise=True)


def anything_running(directory: Path = Path()) -> bool:
    """Whether any process of Snakemake or any job runs in a working directory."""
    return _supported(lambda: locks.is_locked(directory / RUNNING, locks.EXCLUSIVE), otherwise=True)


def _share(file: IO[str]) -> None:
    _supported(lambda: locks.lock(file, locks.SHARED), otherwise=None)


def _supported(attempt: Callable[[], Answer], otherwise: Answer) -> Answer:
    """What ``attempt`` returns; on a file system without locks ``otherwise``, and a dead lock is removed by hand."""
    try:
        return attempt()
    except OSError as error:
        if error.errno not in locks.UNSUPPORTED:
            raise
        log.warning("%s: this file system has no locks (%s)", STATE, error.strerror)
        return otherwise
