"""The folder of the leases on a host with other users: what they may put there, and what happens then."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unlearnable.errors import Stopped, UserError
from unlearnable.jobs import gpus, leases, locks, tickets

PATIENCE = 60.0  # seconds after which something hangs
LIBRARY = str(Path(leases.__file__).parents[2])
JOB = """
import logging, sys
from unlearnable.jobs import leases
from unlearnable.errors import Stopped, UserError

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
try:
    with leases.leased(1):
        print("leased", flush=True)
except (UserError, Stopped) as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
"""
OWNER, OTHER = 65533, 65532  # two users


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the leases of one stand-in, empty."""
    monkeypatch.setenv(gpus.NAMES, "fake0")
    monkeypatch.setenv(leases.FOLDER, str(tmp_path / "leases"))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    monkeypatch.delenv(leases.TOKEN, raising=False)
    (tmp_path / "leases").mkdir(mode=0o755)
    return tmp_path / "leases"


def command(code: str, environment: dict[str, str]) -> dict[str, Any]:
    """How to run some code in a process, without site, which would take longer than all the rest."""
    return {
        "args": [sys.executable, "-S", "-c", code],
        "env": os.environ | {"PYTHONPATH": LIBRARY} | environment,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``python(code, **environment)``: a process that runs some code, ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, **environment: str) -> subprocess.Popen[str]:
        started.append(subprocess.Popen(**command(code, environment)))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def printed(code: str, **environment: str) -> str:
    """What a process that runs some code prints."""
    done: subprocess.CompletedProcess[str] = subprocess.run(**command(code, environment), timeout=PATIENCE)
    return done.stdout


def enough() -> None:
    raise Stopped("it waited")


def leased(count: int) -> list[str]:
    """The devices of a job that does not wait."""
    with leases.leased(count, check=enough) as names:
        return names


@pytest.fixture
def waiting(folder: Path, python: Callable[..., subprocess.Popen[str]]) -> Iterator[subprocess.Popen[str]]:
    """A job that waits for the device, which this process holds."""
    with open(folder / "device-fake0", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        job = python(JOB)
        assert job.stdout is not None
        assert job.stdout.readline().startswith("waiting for 1 GPU(s)")
        yield job


# ---- who may delete locks


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"^{folder}: a link, which may lead anywhere; .* set {leases.FOLDER} to"):
        leased(1)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_in_which_everybody_may_delete_everything_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(UserError, match=f"^{folder}: every user can write there and it has no sticky bit, so locks"):
        leased(1)
    folder.chmod(0o1777)
    assert leased(1) == ["fake0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_needs_the_sticky_bit(folder: Path) -> None:
    os.chown(folder, OWNER, OWNER)
    for mode in (0o755, 0o777, 0o2770):
        folder.chmod(mode)
        with pytest.raises(UserError, match=f"^{folder}: it belongs to user {OWNER} and it has no sticky bit, so"):
            leased(1)
    folder.chmod(0o1777)
    assert leased(1) == ["fake0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two other users")
@pytest.mark.parametrize(("owner", "mode", "usable"), [(OWNER, 0o777, False), (OWNER, 0o1777, True), (0, 0o1777, True)])
def test_a_user_holds_no_lock_that_the_owner_of_an_open_folder_could_remove(
    owner: int, mode: int, usable: bool
) -> None:
    shared = Path(tempfile.mkdtemp())  # pytest's folder is root's alone
    shared.chmod(0o755)
    try:
        (shared / "leases").mkdir()
        (shared / "leases").chmod(mode)
        os.chown(shared / "leases", owner, owner)
        become = f"import logging, os; from unlearnable.jobs import leases; os.setgid({OTHER}); os.setuid({OTHER})"
        code = f"{become}\n{JOB}"  # the other user may not read this environment, so it is imported before
        said = printed(code, **{leases.FOLDER: str(shared / "leases"), gpus.NAMES: "fake0"})
        assert said.endswith("leased\n") == usable, said
        assert (f"UserError: {shared}/leases: it belongs to user {owner}" in said) != usable, said
    finally:
        shutil.rmtree(shared)


LOOK = """
import os, sys
from pathlib import Path
from unlearnable.jobs import locks

os.setuid(int(sys.argv[2]))
print(locks.is_locked(Path(sys.argv[1]), locks.EXCLUSIVE))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_user_sees_that_a_file_of_another_one_is_locked() -> None:
    with tempfile.NamedTemporaryFile() as file:
        os.chmod(file.name, 0o644)  # such as .snakemake/running, for which an exclusive lock is tried
        look = [sys.executable, "-S", "-c", LOOK, file.name, str(OTHER)]
        for mode, seen in ((fcntl.LOCK_SH, "True"), (fcntl.LOCK_UN, "False")):
            fcntl.flock(file, mode)
            done = subprocess.run(look, env=os.environ | {"PYTHONPATH": LIBRARY}, capture_output=True, text=True)
            assert done.stdout == f"{seen}\n", done.stderr


# ---- what is not a plain file


def pipe(path: Path) -> int:
    """A named pipe that somebody locks."""
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def locked_folder(path: Path) -> int:
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def link(path: Path) -> int:
    path.symlink_to("/dev/zero")
    return os.open("/dev/null", os.O_RDONLY)


def a_socket(path: Path) -> int:
    listening = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket must be short
    listening.bind(path.name)
    os.chdir(here)
    return listening.detach()


ODD = [pipe, locked_folder, link, a_socket]


@pytest.mark.parametrize("plant", ODD)
@pytest.mark.parametrize("name", ["waiting-0", "device-fake0", "device-fake0.ranks", "anything"])
def test_a_folder_that_holds_anything_but_plain_files_is_refused(
    folder: Path, plant: Callable[[Path], int], name: str
) -> None:
    descriptor = plant(folder / name)
    said = printed(JOB)
    os.close(descriptor)
    assert said.startswith(f"UserError: {folder / name}: not a plain file, so no job has put it there; ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("plant", ODD)
def test_what_is_planted_among_the_tickets_later_holds_up_nobody(
    folder: Path, waiting: subprocess.Popen[str], plant: Callable[[Path], int]
) -> None:
    descriptor = plant(folder / "waiting-0")
    time.sleep(3 * leases.POLL)
    waiting.send_signal(signal.SIGTERM)
    said = waiting.communicate(timeout=PATIENCE)[0]
    os.close(descriptor)
    assert said == "Stopped: asked to stop while waiting for a GPU; nothing was started\n"


@pytest.mark.parametrize("plant", [pipe, locked_folder, link, a_socket])
def test_what_is_planted_in_the_place_of_a_lock_is_named_to_those_who_look(
    folder: Path, plant: Callable[[Path], int]
) -> None:
    descriptor = plant(folder / "device-fake0")
    with pytest.raises(UserError, match=f"^{folder}: GPU leases cannot be kept here .*device-fake0"):
        leases.holders()
    os.close(descriptor)


def test_a_file_in_the_place_of_the_folder_is_named_to_those_who_look(folder: Path) -> None:
    folder.rmdir()
    folder.touch()
    with pytest.raises(UserError, match=f"^{folder}: GPU leases cannot be kept here"):
        leases.holders()


# ---- locks that others hold


def test_a_job_waits_for_a_locked_folder_with_a_word_and_listens_to_signals(
    folder: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    job = python(JOB)
    assert job.stdout is not None
    said = [job.stdout.readline(), job.stdout.readline()]
    assert said[1] == f"another process has locked {folder}, so no GPU can be leased until it ends\n"
    job.send_signal(signal.SIGTERM)
    assert job.communicate(timeout=PATIENCE)[0].startswith("Stopped: asked to stop while waiting for a GPU")
    assert job.returncode == 1
    patient = python(JOB)
    assert patient.stdout is not None
    assert patient.stdout.readline() == said[0]
    os.close(descriptor)
    assert patient.communicate(timeout=PATIENCE)[0].endswith("leased\n")


def test_a_ticket_that_others_lock_is_not_written_in_an_endless_loop(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        attempts: list[Path] = []
        patch.setattr(locks, "open_locked", attempts.append)
        signal.alarm(20)  # ends the tests if it is
        ticket = tickets.Ticket(lambda: folder, ["fake0"]).__enter__()
        ticket.refresh()
        signal.alarm(0)
        assert len(attempts) == 2
        assert ticket.ahead() == (set(), 0)
    ticket.refresh()
    assert len(list(folder.glob("waiting-*"))) == 1
    ticket.__exit__()
    assert list(folder.iterdir()) == []


SHARE = """
import os, sys
from pathlib import Path
from unlearnable.errors import Stopped, UserError
from unlearnable.jobs import leases, locks

with leases.leased(1):
    BODY
    try:
        leases.share()
    except (Stopped, UserError) as error:
        print(type(error).__name__, error)
print([(lease.device, lease.held) for lease in leases.holders()])
"""


def test_a_rank_does_not_wait_for_a_lock_that_another_process_keeps(folder: Path) -> None:
    with open(folder / "device-fake0.ranks", "w") as held:
        body = f"import fcntl; locks.PATIENCE = 0.1; fcntl.flock(os.open({held.name!r}, os.O_RDWR), fcntl.LOCK_EX)"
        said = printed(SHARE.replace("BODY", body))
    assert said.startswith(f"UserError {folder}: GPU leases cannot be kept here ([Errno 16] another process has locked")


def test_a_rank_whose_lock_was_deleted_before_it_was_locked_does_not_compute(folder: Path) -> None:
    body = """
    taken = locks.try_lock
    def deleted_first(descriptor, mode):
        Path(os.environ["UNLEARNABLE_LEASES"], "device-fake0.ranks").unlink(missing_ok=True)
        return taken(descriptor, mode)
    locks.try_lock = deleted_first
    """
    said = printed(SHARE.replace("BODY", body.strip()))
    assert said.startswith("Stopped the job that this process belongs to has lost its lease of GPU fake0")


# ---- names of devices

NAMES = [
    "a/b",
    "a_b",
    "a%2fb",
    "a.b",
    "g.0",
    "g.1",
    "g",
    "g.ranks",
    "g.0.ranks",
    "GPU-5/5/0",
    "é",
    "e\u0301",
    "..",
    "a b",
]


def test_devices_with_similar_names_are_different_devices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.NAMES, ",".join(NAMES))
    assert leased(len(NAMES)) == NAMES
    found = [path.name for path in folder.iterdir()]
    assert len(found) == len(NAMES)
    assert not [name for name in found if name.endswith(".ranks")]


def test_a_rank_of_one_device_does_not_keep_another(folder: Path) -> None:
    said = printed(SHARE.replace("BODY", "pass"), **{gpus.NAMES: "g.0,g.1,g.0.ranks"})
    assert said == "[('g.0', True), ('g.1', False), ('g.0.ranks', False)]\n"


def test_tickets_for_devices_with_similar_names_do_not_reserve_each_other(
    folder: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    both = {gpus.NAMES: "a/b,a_b"}
    with open(folder / "device-a%2fb", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        first = python(JOB, **both, **{gpus.VISIBLE: "a/b"})
        assert first.stdout is not None
        assert first.stdout.readline().startswith("waiting for 1 GPU(s), with 0 job(s) ahead: a/b is held")
        assert printed(JOB, **both, **{gpus.VISIBLE: "a_b"}) == "leased GPU a_b\nleased\n"
    assert first.communicate(timeout=PATIENCE)[0].endswith("leased\n")


# ---- the environment


def test_a_lease_of_another_job_in_the_environment_is_an_error_of_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(leases.TOKEN, "0123")
    with pytest.raises(UserError, match=f"^{leases.TOKEN} is set, as in a job that has leased GPUs; unset it, and"):
        leased(1)
