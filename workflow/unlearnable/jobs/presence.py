"""Whether Snakemake or jobs run in a working directory, determined by locks that end with their processes.

Snakemake's own lock is a file that survives a `kill -9`; nothing runs until it is removed by hand. Here every Snakemake
process and every job holds a shared lock on one file. If a process can lock it exclusively, no other one is left, and
any lock of Snakemake's belongs to a dead process. The Snakemake process that runs jobs also holds its record of them
(see ``unlearnable.tools.watch.record``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from unlearnable.jobs import locks

log = logging.getLogger(__name__)
STATE = Path(".snakemake")  # Snakemake's own folder in the working directory
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
    """As ``join``; if nothing else runs here, also remove the lock left behind by a killed Snakemake.

    If only jobs of a killed Snakemake run, say so: Snakemake itself refuses to start and advises unlocking.
    """
    file = join()
    locks_of_snakemake = list(STATE.glob("locks/*.lock"))
    if _supported(lambda: locks.try_lock(file, locks.EXCLUSIVE), otherwise=False):
        for path in locks_of_snakemake:
            path.unlink()
    elif locks_of_snakemake and not snakemake_running():
        log.warning(
            "Jobs of a killed Snakemake are still running here. Those on this machine stop automatically: long ones "
            "save their state after the current step, the others finish within minutes, except for "
            "large datasets. Those on a cluster finish, or must be cancelled. Run the same command "
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
    """The result of ``attempt``; on a file system without locks ``otherwise``, and dead locks are removed by hand."""
    try:
        return attempt()
    except OSError as error:
        if error.errno not in locks.UNSUPPORTED:
            raise
        log.warning("%s: this file system has no locks (%s)", STATE, error.strerror)
        return otherwise
