"""GPUs on one host, leased by file locks, so that no two jobs compute on the same one.

Snakemake counts GPUs and picks none. Here a job leases as many as it was granted before CUDA starts in its process,
and from then on CUDA sees only those. A lease is an flock on the device's file in a folder that all users and
pipelines of the host share. The kernel drops it when the process ends, however it ends, so nothing is left to clean up.

**Devices** are what ``nvidia-smi -L`` lists; a GPU in MIG mode counts as its MIG devices. ``UNLEARNABLE_GPUS``
(comma-separated names, as CUDA_VISIBLE_DEVICES takes them) replaces that list, where nvidia-smi is missing or a test
needs stand-ins. All pipelines of a host must call a device by the same name. With CUDA_VISIBLE_DEVICES set (by Slurm,
by the user) only its devices are leased; see ``candidates``.

**Order.** Who has to wait writes a ticket, locked as long as its owner lives. Nobody takes a device that a living
ticket before its own could use, and a job takes all that it needs or none. So jobs for many GPUs are not starved by
those for one, nothing deadlocks, and jobs whose devices do not overlap do not wait for each other.

**Processes of a job.** Lock descriptors are closed on exec and after a fork, so a stray child of a killed job does not
keep a device. Processes that compute for the job (ranks, which outlive a killed parent) call ``join``.

**Limits.** The folder is ``/tmp/unlearnable-leases``, or ``UNLEARNABLE_LEASES``: on a local disk, the same for all. A
container or a service with a /tmp of its own does not see the others' leases unless that folder is mounted into it.
Deleting the folder ends the exclusion for the leases that are held. Programs other than this one are not kept out.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from unlearnable.errors import Stopped, UserError
from unlearnable.jobs.gpus import VISIBLE, candidates, devices

log = logging.getLogger(__name__)
SHARED = Path("/tmp/unlearnable-leases")  # not TMPDIR, which may differ between the users and jobs of a host
POLL = 0.1  # seconds between two looks at the devices, for the first in the queue
REMIND = 300.0  # seconds between two lines in the log of a job that waits
ASLEEP = 60.0  # seconds after which a ticket whose owner no longer looks (it was stopped) holds up nobody
FOLDER, TOKEN = "UNLEARNABLE_LEASES", "UNLEARNABLE_LEASE"

_held: set[int] = set()  # descriptors whose locks are this process's alone


def _drop_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_drop_in_child)


@dataclass(frozen=True)
class Lease:
    """Who has a device.

    Attributes:
        device: its name.
        held: whether some process holds it; known from the lock alone.
        pid: of the job that leased it, as it wrote; None when it is free, or nothing readable stands there.
        what: what the job does, as it wrote.
    """

    device: str
    held: bool
    pid: int | None = None
    what: str = ""

    @property
    def line(self) -> str:
        """All of it in one line."""
        if not self.held:
            return f"{self.device} is free"
        return f"{self.device} is held by process {self.pid or 'unknown'}" + (f" ({self.what})" if self.what else "")


@contextmanager
def leased(count: int, what: str = "", check: Callable[[], None] = lambda: None) -> Iterator[list[str]]:
    """Hold ``count`` devices, and let CUDA see only those; waits for them as long as it takes.

    CUDA_VISIBLE_DEVICES is set for this process and its children, and put back at the end.

    Args:
        count: how many devices; with 0 none is leased, and CUDA sees none.
        what: one line about the job, for others to read.
        check: called while waiting; what it raises ends the waiting.

    Yields:
        The devices' names.

    Raises:
        UserError: there are not so many devices, or the folder of the locks cannot be used.
        Stopped: SIGTERM, SIGINT or SIGHUP came while the job waited.
        RuntimeError: CUDA has started, or this process belongs to a job with a lease (it should ``join``).
    """
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        raise RuntimeError("CUDA has started in this process: it is too late to choose its devices")
    if count == 0:
        with _environment({VISIBLE: ""}):
            yield []
        return
    if TOKEN in os.environ:
        raise RuntimeError("this process belongs to a job that has a lease: join() it")
    offered = _enough(count)
    with ExitStack() as stack:
        for_what = " ".join("".join(c if c.isprintable() else " " for c in what).split())
        try:
            names, token = _acquire(stack, offered, count, for_what, check)
        except OSError as error:
            raise UserError(
                f"{_chosen_folder()}: the leases of GPUs cannot be kept here ({error}); "
                f"name a folder on a local disk that all users of the GPUs can write to in {FOLDER}"
            ) from error
        stack.enter_context(_environment({VISIBLE: ",".join(names), TOKEN: token}))
        yield names


def _enough(count: int) -> list[str]:
    """Names of the devices that a job for ``count`` can choose from."""
    allowed = candidates()
    offered = [device.name for device in allowed if device.whole or count == 1]  # CUDA opens a single MIG device
    if len(offered) < count:
        visible = os.environ.get(VISIBLE)
        raise UserError(
            f"the job asks for {count} GPU(s), and there are {len(offered)} here that it may use"
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


def keep() -> None:
    """Hold what this process has leased until it ends, also beyond the end of ``leased``."""
    _held.update([os.dup(descriptor) for descriptor in _held])


def join() -> list[str]:
    """Hold the lease of the job that started this process too, until this process ends.

    A rank calls this before CUDA starts. From then on its devices stay leased even if the job itself is killed.

    Returns:
        The names of the job's devices.

    Raises:
        Stopped: the job is gone, and somebody else has its devices, or may have.
    """
    names = os.environ[VISIBLE].split(",")
    for name in names:
        descriptor = _open(_ranks_file(name))
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _held.add(descriptor)
        # Whoever leased the device after the job wrote a token of its own before it looked for ranks.
        if _content(_file(name))[2:3] != [os.environ[TOKEN]]:
            raise Stopped(f"the job that this process belongs to has lost its lease of GPU {name}")
    return names


def holders() -> list[Lease]:
    """Who holds which of this host's devices; nothing is taken, who acquires one meanwhile at most looks once more."""
    return [_lease(device.name) for device in devices()]


def _lease(name: str) -> Lease:
    if not (_locked(_file(name), fcntl.LOCK_SH) or _locked(_ranks_file(name), fcntl.LOCK_EX)):
        return Lease(name, held=False)
    pid, what, *_ = [*_content(_file(name)), "", ""]
    shown = "".join(c for c in what if c.isprintable())  # anybody may have written it
    return Lease(name, True, int(pid) if re.fullmatch("[0-9]{1,9}", pid) else None, shown[:200])


def _acquire(
    stack: ExitStack, offered: list[str], count: int, what: str, check: Callable[[], None]
) -> tuple[list[str], str]:
    """Devices, locked until ``stack`` is closed, and the token of their lease."""
    folder = os.open(_folder(), os.O_RDONLY | os.O_DIRECTORY)
    _hold(stack, folder)
    fcntl.flock(folder, fcntl.LOCK_SH)  # systemd-tmpfiles then leaves the folder and what is in it alone
    token = os.urandom(16).hex()
    began, said = time.monotonic(), None
    taken: dict[str, int] | None = None
    with _Ticket(offered) as ticket, _signals() as asked_to_stop:
        while not asked_to_stop():
            reserved, before = ticket.ahead()
            taken = _take([name for name in offered if name not in reserved], count, [str(os.getpid()), what, token])
            if taken is not None:
                break
            check()
            if said is None or time.monotonic() - said >= REMIND:
                said = time.monotonic()
                seen = ", ".join(_lease(name).line for name in offered)
                log.info("waiting for %d GPU(s), with %d job(s) ahead: %s", count, before, seen)
            time.sleep(min(POLL * (1 + before), 1.0))
            ticket.refresh()
    for descriptor in (taken or {}).values():
        _hold(stack, descriptor)
    if taken is None or asked_to_stop():
        raise Stopped("asked to stop while waiting for a GPU; nothing was begun")
    waited = "" if said is None else f" after waiting for {time.monotonic() - began:.0f} s"
    log.info("leased GPU %s%s", ", ".join(taken), waited)
    return list(taken), token


def _hold(stack: ExitStack, descriptor: int) -> None:
    def release() -> None:
        if descriptor in _held:  # not so in a forked child
            _held.remove(descriptor)
            os.close(descriptor)

    _held.add(descriptor)
    stack.callback(release)


def _take(names: list[str], count: int, content: list[str]) -> dict[str, int] | None:
    """Lock ``count`` of the named devices and write ``content`` to their files; None, and no lock, if too few are free.

    Returns:
        The descriptors that hold the locks, by device.
    """
    taken: dict[str, int] = {}
    for name in names if len(names) >= count else []:
        descriptor = _lock(_file(name))
        if descriptor is None:
            continue
        taken[name] = descriptor
        if not _locked(_ranks_file(name), fcntl.LOCK_EX):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, "".join(f"{line}\n" for line in content).encode(), 0)
        # Asked again now that a rank which joins late can see that its job lost the device.
        if _locked(_ranks_file(name), fcntl.LOCK_EX):
            os.close(taken.pop(name))
        elif len(taken) == count:
            return taken
    for descriptor in taken.values():
        os.close(descriptor)
    return None


class _Ticket:
    """A place in the queue, until the end of a ``with`` block. Only order depends on tickets, never who has a device.

    Args:
        names: the devices that its owner waits for.
    """

    def __init__(self, names: list[str]) -> None:
        # The monotonic clock is the same for all processes of a host, and later jobs get later numbers.
        self._name = f"waiting-{time.monotonic_ns():020d}-{os.getpid()}"
        self._names = names

    def __enter__(self) -> _Ticket:
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        (_folder() / self._name).unlink(missing_ok=True)
        if self._descriptor in _held:
            _held.remove(self._descriptor)
            os.close(self._descriptor)

    def _write(self) -> None:
        while (descriptor := _lock(_folder() / self._name)) is None:
            pass  # somebody looked at it before it was locked
        self._descriptor = descriptor
        _held.add(descriptor)
        os.pwrite(descriptor, "\n".join(self._names).encode(), 0)

    def refresh(self) -> None:
        """Show that the owner is awake."""
        try:
            os.utime(_folder() / self._name)
        except FileNotFoundError:  # something cleans /tmp
            _held.remove(self._descriptor)
            os.close(self._descriptor)
            self._write()

    def ahead(self) -> tuple[set[str], int]:
        """The devices that living owners of earlier tickets wait for, and how many owners there are."""
        folder = _folder()
        reserved: set[str] = set()
        owners = 0
        for name in sorted(name for name in os.listdir(folder) if name.startswith("waiting-")):
            if name >= self._name:
                break
            path = folder / name
            if _locked(path, fcntl.LOCK_SH):
                with suppress(FileNotFoundError):  # its owner's turn came meanwhile
                    if time.time() - path.stat().st_mtime < ASLEEP:
                        reserved |= set(_content(path))
                        owners += 1
            else:
                with suppress(FileNotFoundError, PermissionError):  # another user's dead ticket holds up nobody
                    path.unlink()
        return reserved, owners


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Whether a signal asked to stop; it does not end the process meanwhile. One that is ignored stays ignored."""
    came = False

    def note(*_: object) -> None:
        nonlocal came
        came = True

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _chosen_folder() -> Path:
    return Path(os.environ.get(FOLDER) or SHARED)


def _folder() -> Path:
    """The folder of all leases, made if need be: every user can write there, and only remove files of their own."""
    folder = _chosen_folder()
    if not folder.is_dir():
        with _for_everybody():
            folder.mkdir(mode=0o1777, exist_ok=True)
    if folder == SHARED and folder.is_symlink():
        raise UserError(f"{folder} is a link, which no pipeline made; remove it, or name another folder in {FOLDER}")
    return folder


@contextmanager
def _for_everybody() -> Iterator[None]:
    """Permissions of what is created now are exactly those that are asked for."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def _file(device: str) -> Path:
    """The file whose lock is a device's lease. Its lines: the job's process id, what it does, the lease's token."""
    return _chosen_folder() / f"device-{re.sub(r'[^A-Za-z0-9.-]', '_', device)}"


def _ranks_file(device: str) -> Path:
    """The file that other processes of the job lock, each in shared mode."""
    return _file(device).with_suffix(".ranks")


def _open(path: Path) -> int:
    """A descriptor of a file that every user can lock; it is created when it is missing."""
    while True:
        try:
            # Without O_CREAT: in a sticky folder Linux refuses that flag for another user's file (protected_regular).
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            with suppress(FileExistsError), _for_everybody():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            continue
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file of its own", str(path))


def _lock(path: Path) -> int | None:
    """A descriptor that holds the exclusive lock of a file, or None when somebody else has it."""
    descriptor = _open(path)
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):  # else it was deleted before it was locked
            return descriptor
    os.close(descriptor)
    return None


def _locked(path: Path, mode: int) -> bool:
    """Whether a lock that somebody holds on a file keeps others from locking it in ``mode``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _content(path: Path) -> list[str]:
    """The lines of a file; nothing may depend on them that matters, as every user can write them."""
    with open(path, "rb") as file:
        return file.read(2**16).decode("utf-8", "replace").splitlines()
