"""GPUs on one host, leased by file locks, so that no two jobs compute on the same one.

Snakemake counts GPUs but does not choose them. A job leases the number it was granted before CUDA starts in its
process; from then on CUDA sees only those. A lease is an flock on the device's file, in a folder shared by all users
and pipelines of the host. The kernel drops it when the process ends, however it ends, so there is nothing to clean up.

**Devices** are what ``nvidia-smi -L`` lists; a GPU in MIG mode counts as its MIG devices. ``UNLEARNABLE_GPUS``
(comma-separated names, as CUDA_VISIBLE_DEVICES takes them) replaces that list if nvidia-smi is missing or a test needs
stand-ins. All pipelines of a host must use the same name for a device. With CUDA_VISIBLE_DEVICES set (by Slurm, by the
user) only its devices are leased; see ``candidates``.

**Order.** Jobs wait in order of arrival (``tickets``), and each takes either all the devices it needs or none. So jobs
for one GPU do not starve those for many, nothing deadlocks, and jobs for different devices do not wait for each other.

**Processes of a job.** Lock descriptors are closed on exec and after a fork, so a stray child of a killed job does not
keep a device. Processes that compute for the job (ranks, which may outlive it) call ``share``.

**Limits.** The folder is ``/tmp/unlearnable-leases``, or ``UNLEARNABLE_LEASES``: on a local disk, the same for all, and
such that nobody else can delete the locks (``lease_folder``). A container or a service with its own /tmp does not see
other leases unless that folder is mounted into it. Deleting the folder cancels the protection of current leases. Other
programs can still use the GPUs.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from unlearnable.errors import Stopped, UserError, printable
from unlearnable.jobs import lease_folder, locks
from unlearnable.jobs.gpus import VISIBLE, candidates, devices
from unlearnable.jobs.lease_folder import coded, file_of, ranks_file_of, usable_folder
from unlearnable.jobs.signals import Waiting, stopping_on_signals
from unlearnable.jobs.tickets import Ticket

log = logging.getLogger(__name__)
POLL = 0.1  # seconds between two looks at the devices, for the first in the queue
REMIND = 300.0  # seconds between two lines in the log of a job that waits
FOLDER, TOKEN = lease_folder.FOLDER, "UNLEARNABLE_LEASE"


@dataclass(frozen=True)
class Lease:
    """The state of a device: free, or held by a job.

    Attributes:
        device: its name.
        held: whether a process holds it; determined by the lock alone.
        pid: of the job that leased it, as written by the job; None if it is free or the file is unreadable.
        what: description of the job, as written by it.
    """

    device: str
    held: bool
    pid: int | None = None
    what: str = ""

    @property
    def line(self) -> str:
        """The state in one line."""
        if not self.held:
            return f"{self.device} is free"
        return f"{self.device} is held by process {self.pid or 'unknown'}" + (f" ({self.what})" if self.what else "")


@contextmanager
def leased(count: int, what: str = "", check: Callable[[], None] = lambda: None) -> Iterator[list[str]]:
    """Hold ``count`` devices and let CUDA see only those; waits until they are free.

    CUDA_VISIBLE_DEVICES is set for this process and its children, and restored at the end.

    Args:
        count: number of devices; with 0 none is leased, and CUDA sees none.
        what: description of the job in one line, for others to read.
        check: called while waiting; an exception from it ends the wait.

    Yields:
        The devices' names.

    Raises:
        UserError: there are fewer devices, the folder of the locks cannot be used or trusted, or this process was
            started from within a job with a lease.
        Stopped: SIGTERM, SIGINT or SIGHUP arrived while the job waited.
        RuntimeError: CUDA has started, or this process holds a lease already (its children should ``share`` that).
    """
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        raise RuntimeError("CUDA has started in this process: it is too late to choose its devices")
    if count == 0:
        with _environment({VISIBLE: ""}):
            yield []
        return
    if TOKEN in os.environ:
        if locks.holds_any():
            raise RuntimeError("this process belongs to a job that has a lease: share() it")
        raise UserError(
            f"{TOKEN} is set, as in a job that has leased GPUs; unset it, and start Snakemake outside of jobs"
        )
    offered = _enough(count)
    with ExitStack() as stack:
        with usable_folder():
            names, token = _acquire(stack, offered, count, printable(what), check)
        stack.enter_context(_environment({VISIBLE: ",".join(names), TOKEN: token}))
        yield names


def _enough(count: int) -> list[str]:
    """Names of the devices available to a job that needs ``count``."""
    allowed = candidates()
    offered = [device.name for device in allowed if device.whole or count == 1]  # CUDA opens only one MIG device
    if len(offered) < count:
        visible = os.environ.get(VISIBLE)
        raise UserError(
            f"the job needs {count} GPU(s), but may use only {len(offered)} here"
            + (f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else "")
            + (", MIG devices not counted, as a job can use only one" if len(allowed) > len(offered) else "")
            + "; ask for fewer with --resources gpu=N, where N=0 is the CPU"
        )
    return offered


@contextmanager
def _environment(change: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in change}
    os.environ.update(change)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def share() -> list[str]:
    """Hold the lease of the job that started this process as well, until this process ends.

    A rank calls this before CUDA starts. From then on its devices stay leased even if the job is killed.

    Returns:
        The names of the job's devices.

    Raises:
        UserError: the folder of the locks cannot be used.
        Stopped: the job is gone, and another job has its devices or may have them.
    """
    names = os.environ[VISIBLE].split(",")
    for name in names:
        path = ranks_file_of(name)
        with usable_folder():
            descriptor = locks.open_for_all(path)
            locks.lock(descriptor, locks.SHARED)
            locks.hold(descriptor)
            # A job that leased the device later wrote its own token before it looked for ranks.
            ours = locks.is_at(descriptor, path) and locks.lines(file_of(name))[2:3] == [os.environ[TOKEN]]
        if not ours:
            raise Stopped(f"the job that this process belongs to has lost its lease of GPU {name}")
    return names


def holders() -> list[Lease]:
    """The leases of this host's devices. Nothing is taken; a job that leases one just now may have to retry.

    Raises:
        UserError: the folder of the locks cannot be used, or nvidia-smi does not answer.
    """
    with usable_folder():
        return [_lease(device.name) for device in devices()]


def _lease(name: str) -> Lease:
    if not (locks.is_locked(file_of(name), locks.SHARED) or locks.is_locked(ranks_file_of(name), locks.EXCLUSIVE)):
        return Lease(name, held=False)
    pid, what, *_ = [*locks.lines(file_of(name)), "", ""]
    known = re.fullmatch("[0-9]{1,9}", pid)
    return Lease(name, True, int(pid) if known else None, printable(what)[:200])  # any user may have written it


def _acquire(
    stack: ExitStack, offered: list[str], count: int, what: str, check: Callable[[], None]
) -> tuple[list[str], str]:
    """Devices, locked until ``stack`` is closed, and the token of their lease."""
    path = lease_folder.trusted_folder()
    lease_folder.require_plain_files(path)
    guard = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    _hold(stack, guard)
    token = os.urandom(16).hex()
    began, said = time.monotonic(), None
    taken: dict[str, int] | None = None
    kept = False
    waiting = Waiting()
    with stopping_on_signals(waiting), Ticket(lease_folder.trusted_folder, [coded(name) for name in offered]) as ticket:
        while not waiting.stop_requested:
            # Locked, the folder and its content are left alone by systemd-tmpfiles.
            kept = kept or locks.try_lock(guard, locks.SHARED)
            reserved, before = ticket.ahead()
            free = [name for name in offered if kept and coded(name) not in reserved]
            taken = _take(free, count, [str(os.getpid()), what, token])
            if taken is not None:
                break
            check()
            if said is None or time.monotonic() - said >= REMIND:
                said = time.monotonic()
                seen = ", ".join(_lease(name).line for name in offered)
                log.info("waiting for %d GPU(s), with %d job(s) ahead: %s", count, before, seen)
                if not kept:
                    log.info("another process has locked %s, so no GPU can be leased until it ends", path)
            time.sleep(min(POLL * (1 + before), 1.0))
            ticket.refresh()
    for descriptor in (taken or {}).values():
        _hold(stack, descriptor)
    if taken is None or waiting.stop_requested:
        raise Stopped("asked to stop while waiting for a GPU; nothing was started")
    waited = "" if said is None else f" after waiting for {time.monotonic() - began:.0f} s"
    log.info("leased GPU %s%s", ", ".join(taken), waited)
    return list(taken), token


def _hold(stack: ExitStack, descriptor: int) -> None:
    locks.hold(descriptor)
    stack.callback(locks.release, descriptor)


def _take(names: list[str], count: int, content: list[str]) -> dict[str, int] | None:
    """Lock ``count`` of the named devices and write ``content`` to their files; None, and no lock, if too few are free.

    Returns:
        The descriptors that hold the locks, by device.
    """
    taken: dict[str, int] = {}
    for name in names if len(names) >= count else []:
        descriptor = locks.open_locked(file_of(name))
        if descriptor is None:
            continue
        taken[name] = descriptor
        if not locks.is_locked(ranks_file_of(name), locks.EXCLUSIVE):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, "".join(f"{line}\n" for line in content).encode(), 0)
        # Check again: from now on, a rank that joins late can see that its job lost the device.
        if locks.is_locked(ranks_file_of(name), locks.EXCLUSIVE):
            os.close(taken.pop(name))
        elif len(taken) == count:
            return taken
    for descriptor in taken.values():
        os.close(descriptor)
    return None
