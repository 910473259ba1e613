"""Whether Snakemake or jobs run in a working directory, determined by locks that end with their processes.

Snakemake's own lock is a file that survives a `kill -9`; nothing runs until it is removed by hand. Here every Snakemake
process and every job holds a shared lock on one file. If a process can lock it exclusively, no other one is left, and
any lock of Snakemake's belongs to a dead process. The Snakemake process that runs jobs also holds its record of them
(see ``unlearnable.tools.watch.record``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from unlearnable.errors import UserError
from unlearnable.jobs import locks

log = logging.getLogger(__name__)
STATE = Path(".snakemake")  # Snakemake's own folder in the working directory
RUNNING = STATE / "running"
RECORD = STATE / "record.jsonl"
Answer = TypeVar("Answer")


def join() -> IO[str]:
    """Count as running here for as long as the returned file is open.

    Raises:
        UserError: the file cannot be opened or locked.
    """

    def joined() -> IO[str]:
        STATE.mkdir(exist_ok=True)
        descriptor = locks.open_plain(RUNNING, os.O_RDWR | os.O_CREAT)
        file = open(descriptor, "r+", encoding="ascii")  # noqa: SIM115 - held by the caller
        _share(file)
        return file

    return _usable(RUNNING, joined)


def join_and_clear_dead_lock() -> IO[str]:
    """As ``join``; if nothing else runs here, also remove the lock left behind by a killed Snakemake.

    If only jobs of a killed Snakemake run, say so: Snakemake itself refuses to start and advises unlocking.

    Raises:
        UserError: as for ``join``.
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
    """Whether a Snakemake process is running jobs in a working directory.

    Raises:
        UserError: its record cannot be opened.
    """
    return _is_locked(directory / RECORD, locks.SHARED)


def anything_running(directory: Path = Path()) -> bool:
    """Whether any process of Snakemake or any job runs in a working directory.

    Raises:
        UserError: the file that tells cannot be opened.
    """
    return _is_locked(directory / RUNNING, locks.EXCLUSIVE)


def _is_locked(path: Path, mode: int) -> bool:
    return _usable(path, lambda: _supported(lambda: locks.is_locked(path, mode), otherwise=True))


def _usable(path: Path, attempt: Callable[[], Answer]) -> Answer:
    """The result of ``attempt``, which opens and locks a file of Snakemake's folder.

    Raises:
        UserError: the system does not let it.
    """
    try:
        return attempt()
    except OSError as error:
        raise UserError(
            f"{error.filename or path}: cannot be used to find out what runs here ({error.strerror}); "
            f"{path} must be a plain file that you can write and that no other program locks"
        ) from error


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
