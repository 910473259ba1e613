"""Real processes compete for stand-ins of GPUs; none is ever held twice, none is lost, nobody is left waiting."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from unlearnable.errors import Stopped, UserError
from unlearnable.jobs import gpus, leases, tickets
from unlearnable.jobs.device import device_of_jobs, leased_device

PATIENCE = 60.0  # seconds after which something hangs
LIBRARY = str(Path(leases.__file__).parents[2])
# A job holds its devices until it may go. A link named after a device tells who has it: nobody can make a second one.
JOB = """
import logging, os, subprocess, sys, time
from pathlib import Path
from unlearnable.jobs import leases
from unlearnable.errors import Stopped, UserError

name, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
leases.REMIND = float(os.environ.get("REMIND", leases.REMIND))
logging.basicConfig(filename=folder / f"{name}.log", level=logging.INFO, format="%(message)s")
try:
    with leases.leased(count, f"job {name}") as devices:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(devices) and len(set(devices)) == count
        for device in devices:
            os.symlink(name, folder / f"held-{device}")
        BODY
        with open(folder / "begun", "a") as begun:
            begun.write(f"{name} {','.join(devices)}\\n")
        while not (folder / f"go-{name}").exists() and not (folder / "go").exists():
            time.sleep(0.01)
        time.sleep(float(os.environ.get("HOLD", 0)))
        for device in devices:
            os.unlink(folder / f"held-{device}")
except (UserError, Stopped) as error:
    logging.error("%s: %s", type(error).__name__, error)
    sys.exit(1)
"""

LIST = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 2g.10gb     Device  1: (UUID: MIG-0c757cd7-e942-5726-a0b8-0e8fb7067135)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5b0000-1111-2222-3333-444455556666)
GPU 2: Quadro (TM) RTX 6000 (UUID: GPU-8932f937-d72c-4106-c12f-20bd9faed9f6)
GPU 3: NVIDIA A30 (UUID: GPU-aaaa1111-d72c-4106-c12f-20bd9faed9f6)
  MIG 1c.2g.12gb Device 0: (UUID: MIG-GPU-aaaa1111-d72c-4106-c12f-20bd9faed9f6/5/0)
"""
MIG_0, MIG_1 = "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-0c757cd7-e942-5726-a0b8-0e8fb7067135"
GPU_1, GPU_2 = "GPU-5d5b0000-1111-2222-3333-444455556666", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"
MIG_3 = "MIG-GPU-aaaa1111-d72c-4106-c12f-20bd9faed9f6/5/0"


class Host:
    """Four stand-ins and the jobs that lease them.

    Args:
        folder: where the jobs keep their records.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: list[subprocess.Popen[bytes]] = []

    def job(self, name: str, count: int = 1, body: str = "", **environment: str) -> subprocess.Popen[bytes]:
        """Start a job."""
        started = subprocess.Popen(  # without site, which would take longer than all the rest
            [sys.executable, "-S", "-c", JOB.replace("BODY", body), name, str(count), str(self.folder)],
            env=os.environ | {"PYTHONPATH": LIBRARY} | environment,
        )
        self.jobs.append(started)
        return started

    def go(self, name: str = "") -> None:
        """Let a job, or every job, give back its devices."""
        (self.folder / (f"go-{name}" if name else "go")).touch()

    def begun(self) -> dict[str, list[str]]:
        """The devices of each job that ever had some, in the order in which they got them."""
        lines = [line.split() for line in self.said("begun").splitlines()]
        return {name: devices.split(",") for name, devices in lines}

    def said(self, file: str) -> str:
        """What stands in a file until now."""
        path = self.folder / file
        return path.read_text() if path.exists() else ""

    def log(self, name: str) -> str:
        """What a job logged until now."""
        return self.said(f"{name}.log")

    def holds(self, *names: str) -> None:
        """Wait until jobs have their devices."""
        until(lambda: set(names) <= set(self.begun()), f"{names} to begin")

    def waits(self, *names: str) -> None:
        """Wait until jobs say that they wait."""
        until(lambda: all("waiting for" in self.log(name) for name in names), f"{names} to wait")

    def kill(self, job: subprocess.Popen[bytes], name: str) -> None:
        """Kill a job, and close its records before anybody can have its devices: while it is stopped."""
        job.send_signal(signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(job.pid, os.WUNTRACED)[1]), self.log(name)
        for link in self.folder.glob("held-*"):
            if os.readlink(link) == name:
                link.unlink()
        job.kill()
        job.wait(PATIENCE)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Four stand-ins that nobody holds."""
    monkeypatch.setenv(gpus.NAMES, "fake0,fake1,fake2,fake3")
    monkeypatch.setenv(leases.FOLDER, str(tmp_path / "leases"))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    (tmp_path / "records").mkdir()
    host = Host(tmp_path / "records")
    yield host
    for job in host.jobs:
        job.kill()
        job.wait(PATIENCE)


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``nvidia_smi(text, status=0)``: a program of that name, first in PATH, that prints a text."""
    monkeypatch.delenv(gpus.NAMES, raising=False)
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    monkeypatch.setenv(leases.FOLDER, str(tmp_path / "leases"))

    def install(text: str, status: int = 0) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir()
        (tmp_path / "list").write_text(text)
        program.write_text(f"#!/bin/sh\ntest \"$*\" = -L && cat '{tmp_path}/list' && exit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)

    return install


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"waited for {what} in vain"
        time.sleep(0.01)


def free() -> list[str]:
    return [lease.device for lease in leases.holders() if not lease.held]


# ---- many jobs


def test_64_jobs_of_which_20_are_killed_never_share_a_device_and_all_others_get_their_turn(host: Host) -> None:
    draws = random.Random(0)
    parts = ["fake0,fake1", "fake1,fake2,fake3", "3,2", None]  # pipelines that may use some of the devices, or all
    doomed = dict.fromkeys(draws.sample(range(64), 20))  # these would hold their devices for ever
    jobs = {}
    for number in range(64):
        part = draws.choice(parts)
        count = draws.choice([1, 1, 1, 2, 2 if part else 4])
        environment = {"HOLD": "1000" if number in doomed else f"{draws.uniform(0, 0.1):.3f}"}
        jobs[number] = host.job(str(number), count, **environment, **({gpus.VISIBLE: part} if part else {}))
    host.go()
    survivors = set(jobs) - set(doomed)
    for kill in range(20):
        time.sleep(draws.uniform(0, 0.2))
        if kill % 2:
            until(lambda: any(str(number) in host.begun() for number in doomed), "one to kill that has devices")
        begun = host.begun()
        number = draws.choice([number for number in doomed if not kill % 2 or str(number) in begun])
        leases.holders()  # somebody watches
        host.kill(jobs[number], str(number))
        del doomed[number]
    for number in survivors:
        assert jobs[number].wait(PATIENCE) == 0, host.log(str(number))  # 1 if it finds another's link
    assert {int(name) for name in host.begun()} >= survivors
    assert list(host.folder.glob("held-*")) == []
    assert free() == ["fake0", "fake1", "fake2", "fake3"]
    host.job("last", 4)
    host.holds("last")
    assert "waiting" not in host.log("last")
    assert [name for name in os.listdir(os.environ[leases.FOLDER]) if name.startswith("waiting")] == []


def test_a_job_for_all_devices_is_not_overtaken_by_later_ones_for_one(host: Host) -> None:
    host.job("first", 3)
    host.holds("first")
    host.job("big", 4)
    host.waits("big")
    small = [host.job(f"small{number}") for number in range(3)]
    host.waits("small0", "small1", "small2")
    until(lambda: len(free()) == 1, "a free device")  # which the first in the queue locks while it looks for more
    host.go("first")
    host.holds("big")
    assert list(host.begun()) == ["first", "big"]
    host.go()
    assert [job.wait(PATIENCE) for job in small] == [0, 0, 0]


def test_the_first_in_the_queue_may_be_killed(host: Host) -> None:
    host.job("holder", 4)
    host.holds("holder")
    first = host.job("first", 4)
    host.waits("first")
    host.job("second", 2)
    host.waits("second")
    host.kill(first, "first")
    host.go("holder")
    host.holds("second")


def test_one_that_was_stopped_while_it_waited_holds_up_nobody(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.job("holder", 4)
    host.holds("holder")
    first = host.job("first", 4)
    host.waits("first")
    first.send_signal(signal.SIGSTOP)
    ticket = next(Path(os.environ[leases.FOLDER]).glob("waiting-*"))
    os.utime(ticket, (time.time() - 2 * tickets.ASLEEP,) * 2)  # as if that had been a while ago
    host.job("second")
    host.waits("second")
    host.go("holder")
    host.holds("second")
    first.send_signal(signal.SIGCONT)
    host.go("second")
    host.holds("first")


def test_pipelines_that_may_use_different_devices_do_not_wait_for_each_other(host: Host) -> None:
    host.job("a", 2, CUDA_VISIBLE_DEVICES="0,1")
    host.holds("a")
    host.job("a-again", 1, CUDA_VISIBLE_DEVICES="0,1")
    host.waits("a-again")
    host.job("b", 2, CUDA_VISIBLE_DEVICES="3,2")
    host.holds("b")
    assert host.begun() == {"a": ["fake0", "fake1"], "b": ["fake3", "fake2"]}
    assert "waiting" not in host.log("b")


def test_the_queue_survives_somebody_who_cleans_up(host: Host) -> None:
    host.job("holder", 4)
    host.holds("holder")
    host.job("waiting")
    host.waits("waiting")
    tickets = Path(os.environ[leases.FOLDER])
    before = next(tickets.glob("waiting-*"))
    before.unlink()
    until(before.exists, "the ticket to come back")
    host.go("holder")
    host.holds("waiting")


# ---- how a lease ends


def test_a_killed_job_frees_its_devices_though_its_children_live(host: Host) -> None:
    body = """
        children = [subprocess.Popen(["sleep", "1000"]).pid]
        reader, writer = os.pipe()
        forked = os.fork()
        if forked == 0:
            os.write(writer, b".")
            time.sleep(1000)
        os.read(reader, 1)  # now the child has closed its copies of the locks
        (folder / "children").write_text(" ".join(map(str, [*children, forked])))
    """
    job = host.job("parent", 4, body.strip())
    host.holds("parent")
    children = [int(pid) for pid in (host.folder / "children").read_text().split()]
    try:
        host.kill(job, "parent")
        assert free() == ["fake0", "fake1", "fake2", "fake3"]
        for pid in children:
            os.kill(pid, 0)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def test_a_lease_can_be_kept_until_the_process_ends(host: Host) -> None:
    body = """
with leases.leased(1):
    locks.hold_until_exit()
assert leases.holders()[0].held
with leases.leased(2):  # the environment is as before, and other devices can be leased
    pass
print([lease.device for lease in leases.holders() if lease.held])
"""
    program = "from unlearnable.jobs import leases, locks\n" + body
    environment = os.environ | {"PYTHONPATH": LIBRARY}
    done = subprocess.run([sys.executable, "-S", "-c", program], env=environment, capture_output=True, check=True)
    assert done.stdout == b"['fake0']\n"
    assert len(free()) == 4


RANK = """
import sys, time
from pathlib import Path
from unlearnable.jobs import leases
from unlearnable.errors import Stopped

folder = Path(sys.argv[1])
(folder / "rank-started").touch()
while len(sys.argv) > 2 and not (folder / sys.argv[2]).exists():
    time.sleep(0.01)
try:
    (folder / "rank-joined").write_text(" ".join(leases.share()))
except Stopped as error:
    (folder / "rank-refused").write_text(str(error))
    sys.exit()
time.sleep(1000)
"""


def rank_of(*arguments: str) -> str:
    """The body of a job that starts a rank in a session of its own, as torchrun does."""
    command = f"[sys.executable, '-S', '-c', {RANK!r}, str(folder), *{arguments!r}]"
    return (
        f"rank = subprocess.Popen({command}, start_new_session=True)\n"
        "        (folder / 'rank').write_text(str(rank.pid))"
    )


def test_a_rank_keeps_the_devices_of_its_job_when_the_job_is_killed(host: Host) -> None:
    job = host.job("parent", 2, rank_of())
    until(lambda: host.said("rank-joined") == "fake0 fake1", "the rank to join")
    host.holds("parent")
    rank = int((host.folder / "rank").read_text())
    host.kill(job, "parent")
    assert free() == ["fake2", "fake3"]
    assert [lease.what for lease in leases.holders() if lease.held] == ["job parent"] * 2
    host.job("next", 4)
    host.waits("next")
    assert [lease.what for lease in leases.holders() if lease.held] == ["job parent"] * 2
    os.kill(rank, signal.SIGKILL)
    host.holds("next")


def test_a_rank_that_comes_too_late_does_not_compute_on_the_devices_of_another_job(host: Host) -> None:
    job = host.job("parent", 4, rank_of("late"))
    until((host.folder / "rank-started").exists, "the rank to start")
    host.holds("parent")
    host.kill(job, "parent")
    host.job("next", 4)
    host.holds("next")
    (host.folder / "late").touch()
    until(lambda: "has lost its lease of GPU fake0" in host.said("rank-refused"), "the rank to leave")
    host.go("next")
    until(lambda: len(free()) == 4, "the devices to be given back")


def test_the_environment_is_as_before_when_the_lease_has_ended(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "2,1")
    with leases.leased(1) as devices:
        assert devices == ["fake2"]
        assert os.environ[gpus.VISIBLE] == "fake2"
    assert os.environ[gpus.VISIBLE] == "2,1"
    assert leases.TOKEN not in os.environ


# ---- waiting, and refusing to


def test_a_job_that_waits_says_for_what_and_who_has_it_once_then_again_and_when_it_has_got_it(host: Host) -> None:
    holder = host.job("holder", 3)
    host.holds("holder")
    host.job("patient", 2, CUDA_VISIBLE_DEVICES="0,3")
    host.waits("patient")
    line = host.log("patient").splitlines()[0]
    assert line == (
        f"waiting for 2 GPU(s), with 0 job(s) ahead: fake0 is held by process {holder.pid} (job holder), fake3 is free"
    )
    time.sleep(4 * leases.POLL)
    assert host.log("patient").count("waiting") == 1
    host.job("talkative", 1, CUDA_VISIBLE_DEVICES="1", REMIND="0.01")
    until(lambda: host.log("talkative").count("waiting for 1 GPU(s)") > 2, "reminders")
    host.go("holder")
    host.holds("patient", "talkative")
    assert re.fullmatch(r"leased GPU fake0, fake3 after waiting for \d+ s", host.log("patient").splitlines()[1])
    assert host.log("holder") == "leased GPU fake0, fake1, fake2\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_job_that_waits_ends_when_it_is_asked_to(host: Host, number: signal.Signals) -> None:
    host.job("holder", 4)
    host.holds("holder")
    job = host.job("asked")
    host.waits("asked")
    job.send_signal(number)
    assert job.wait(PATIENCE) == 1
    assert host.log("asked").endswith("Stopped: asked to stop while waiting for a GPU; nothing was started\n")
    assert list(Path(os.environ[leases.FOLDER]).glob("waiting-*")) == []


def test_what_the_check_raises_ends_the_waiting(host: Host) -> None:
    def nobody_wants_it() -> None:
        raise Stopped("nobody wants it")

    host.job("holder", 4)
    host.holds("holder")
    with pytest.raises(Stopped, match="nobody wants it"), leases.leased(1, check=nobody_wants_it):
        pass


@pytest.mark.parametrize(("visible", "there"), [(None, 4), ("1,fake3", 2), ("", 0), ("-1", 0), ("NoDevFiles", 0)])
def test_more_devices_than_there_are_is_an_error_at_once(
    host: Host, monkeypatch: pytest.MonkeyPatch, visible: str | None, there: int
) -> None:
    host.job("holder", 4)
    host.holds("holder")
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    with (
        pytest.raises(UserError, match=rf"needs {there + 1} GPU\(s\), but may use only {there} here"),
        leases.leased(there + 1),
    ):
        pass


def test_no_device_is_leased_or_seen_without_a_gpu(host: Host) -> None:
    host.job("holder", 4)
    host.holds("holder")
    with leases.leased(0) as devices:
        assert devices == []
        assert os.environ[gpus.VISIBLE] == ""


def test_a_process_of_a_job_cannot_wait_for_its_own_devices(host: Host) -> None:
    with leases.leased(4), pytest.raises(RuntimeError, match="share"), leases.leased(1):
        pass


def test_it_is_an_error_to_lease_when_cuda_has_started(host: Host) -> None:
    body = """
class torch:
    class cuda:
        is_initialized = staticmethod(lambda: True)
import sys
sys.modules["torch"] = torch
from unlearnable.jobs import leases
with leases.leased(1):
    pass
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", body], env=os.environ | {"PYTHONPATH": LIBRARY}, capture_output=True, text=True
    )
    assert "RuntimeError: CUDA has started in this process" in done.stderr


def test_a_folder_that_cannot_be_used_is_named(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "missing" / "leases"):
        monkeypatch.setenv(leases.FOLDER, str(path))
        with pytest.raises(UserError, match=f"{path}: GPU leases cannot be kept here"), leases.leased(1):
            pass


def test_what_others_put_in_the_place_of_a_lock_is_not_written_to(host: Host, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    folder = Path(os.environ[leases.FOLDER])
    folder.mkdir()
    for plant in (os.symlink, os.link):
        plant(precious, folder / "device-fake0")
        with pytest.raises(UserError, match="device-fake0"), leases.leased(4):
            pass
        (folder / "device-fake0").unlink()
    assert precious.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two other users")
def test_users_of_a_host_keep_each_other_out_and_nobody_can_remove_anothers_files() -> None:
    shared = Path(tempfile.mkdtemp())
    shared.chmod(0o777)
    environment = {"PYTHONPATH": LIBRARY, leases.FOLDER: str(shared / "leases"), gpus.NAMES: "fake0"}
    become = "import os, sys; from unlearnable.jobs import leases; os.umask(0o077); os.setgid({0}); os.setuid({0})\n"

    def user(number: int, body: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-S", "-c", become.format(number) + body],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    hold = "with leases.leased(1, 'mine'): print('held', flush=True); sys.stdin.read()"
    lock = str(shared / "leases/device-fake0")
    first, second = user(65533, hold), None
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        look = f"print([(lease.held, lease.what) for lease in leases.holders()])\nos.unlink({lock!r})"
        seen, error = user(65532, look).communicate(timeout=PATIENCE)
        assert seen == "[(True, 'mine')]\n"
        assert "PermissionError" in error
        assert os.path.exists(lock)
        second = user(65532, hold)
        until(lambda: len(list((shared / "leases").glob("waiting-*"))) == 1, "the second user to wait")
        first.kill()
        assert second.stdout is not None
        assert second.stdout.readline() == "held\n"
        second.communicate("", timeout=PATIENCE)
        assert second.returncode == 0
    finally:
        for process in filter(None, [first, second]):
            process.kill()
            process.communicate()
        shutil.rmtree(shared)


# ---- which devices


def test_the_list_of_nvidia_smi_gives_gpus_and_mig_devices(nvidia_smi: Callable[..., None]) -> None:
    nvidia_smi(LIST)
    assert [device.name for device in gpus.devices()] == [MIG_0, MIG_1, GPU_1, GPU_2, MIG_3]
    with leases.leased(1) as devices:
        assert devices == [MIG_0]
        assert leases.holders()[0].held
    with leases.leased(2) as devices:  # CUDA opens one MIG device, not several
        assert devices == [GPU_1, GPU_2]
    with pytest.raises(UserError, match="may use only 2 here, MIG devices not counted"), leases.leased(3):
        pass


@pytest.mark.parametrize(
    ("visible", "named"),
    [
        (None, [MIG_0, MIG_1, GPU_1, GPU_2, MIG_3]),
        ("", []),
        (" ", []),
        ("-1", []),
        ("2,1", [GPU_2, GPU_1]),
        ("2, 1,2", [GPU_2, GPU_1]),
        ("1,-1,2", [GPU_1]),
        (GPU_2, [GPU_2]),
        ("GPU-8932f937", [GPU_2]),
        ("GPU-5d5ba", [MIG_0, MIG_1]),
        ("0,2", [MIG_0, MIG_1, GPU_2]),
        (f"{MIG_1},{GPU_1}", [MIG_1, GPU_1]),
        ("MIG-c6d4f1ef", [MIG_0]),
        (MIG_3, [MIG_3]),
    ],
)
def test_cuda_visible_devices_limits_what_is_leased(
    nvidia_smi: Callable[..., None], monkeypatch: pytest.MonkeyPatch, visible: str | None, named: list[str]
) -> None:
    nvidia_smi(LIST)
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    assert [device.name for device in gpus.candidates()] == named


@pytest.mark.parametrize(
    ("visible", "entry"),
    [
        ("7", "7"),
        ("1,4,2", "4"),
        ("-2", "-2"),
        ("GPU-5d5b", "GPU-5d5b"),
        ("GPU-", "GPU-"),
        ("MIG-", "MIG-"),
        ("GPU-ffff", "GPU-ffff"),
        ("MIG-GPU-8932f937/1/0", "MIG-GPU-8932f937/1/0"),
        ("1,,2", ""),
        ("cuda:1", "cuda:1"),
    ],
)
def test_an_entry_that_names_no_single_device_is_an_error(
    nvidia_smi: Callable[..., None], monkeypatch: pytest.MonkeyPatch, visible: str, entry: str
) -> None:
    nvidia_smi(LIST)
    monkeypatch.setenv(gpus.VISIBLE, visible)
    with pytest.raises(
        UserError, match=rf"CUDA_VISIBLE_DEVICES={visible}: '{entry}' does not match exactly one .* 1 \({GPU_1}"
    ):
        gpus.candidates()


def test_there_are_no_devices_without_nvidia_smi_or_when_it_fails(
    nvidia_smi: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        patch.setenv(gpus.VISIBLE, "0")
        assert gpus.devices() == gpus.candidates() == []
    nvidia_smi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", status=9)
    assert gpus.devices() == []
    assert "couldn't communicate" in caplog.text


def test_names_in_the_environment_replace_the_list(
    nvidia_smi: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(LIST)
    monkeypatch.setenv(gpus.NAMES, " one, two ,one,")
    assert [device.name for device in gpus.devices()] == ["one", "two"]
    monkeypatch.setenv(gpus.NAMES, "")
    assert gpus.devices() == []


# ---- the device of a job


def test_a_job_leases_stand_ins_and_computes_on_the_cpu(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    with leased_device("auto", 2, "job", nobody_asks) as (device, names):
        assert device.type == "cpu"
        assert names == ["fake0", "fake1"]
        assert free() == ["fake2", "fake3"]
    assert "no usable GPU here: computing on the CPU" in caplog.text


@pytest.mark.parametrize(("wanted", "granted"), [("cpu", 1), ("auto", 0)])
def test_a_job_on_the_cpu_takes_no_lease_and_sees_no_gpu(
    host: Host, wanted: Literal["cpu", "auto"], granted: int
) -> None:
    host.job("holder", 4)
    host.holds("holder")
    with leased_device(wanted, granted, "job", nobody_asks) as (device, names):
        assert device.type == "cpu"
        assert names == []
        assert os.environ[gpus.VISIBLE] == ""


@pytest.mark.parametrize(("names", "visible"), [("", None), ("fake0", "-1")])
def test_a_job_for_any_device_computes_on_the_cpu_where_there_is_no_gpu(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, names: str, visible: str | None
) -> None:
    monkeypatch.setenv(gpus.NAMES, names)
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    with leased_device("auto", 1, "job", nobody_asks) as (device, leased):
        assert device.type == "cpu"
        assert leased == []
    assert "no usable GPU here" in caplog.text
    with pytest.raises(UserError, match="torch finds no usable GPU"), leased_device("cuda", 1, "job", nobody_asks):
        pass


def test_more_gpus_than_there_are_is_an_error_for_any_device(host: Host) -> None:
    with pytest.raises(UserError, match=r"needs 5 GPU\(s\)"), leased_device("auto", 5, "job", nobody_asks):
        pass


OLD_DRIVER = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."


@pytest.fixture
def old_driver(nvidia_smi: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """GPUs that nvidia-smi lists and torch, which was built for them, cannot use."""

    def unavailable() -> bool:
        warnings.warn(f"{OLD_DRIVER} (Triggered internally at CUDAFunctions.cpp:109.)", stacklevel=2)
        return False

    nvidia_smi(LIST)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", unavailable)


@pytest.mark.usefixtures("old_driver")
@pytest.mark.filterwarnings("error")  # torch's own warning is part of the message
@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_a_gpu_that_torch_cannot_use_has_one_message(
    wanted: Literal["auto", "cuda"], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError) as job, leased_device(wanted, 1, "job", nobody_asks):
        pass
    with pytest.raises(UserError) as plan:
        device_of_jobs(wanted)
    cannot = f"but torch cannot use it: {OLD_DRIVER} To compute on the CPU: make run GPUS=0, --resources gpu=0 or"
    assert str(job.value).startswith(f"the job leased GPU {MIG_0}, {cannot}")
    assert str(plan.value).startswith(f"nvidia-smi lists GPU {MIG_0}, {MIG_1}, {GPU_1}, {GPU_2}, {MIG_3}, {cannot}")
    assert caplog.text == ""


@pytest.mark.usefixtures("old_driver")
def test_a_job_on_the_cpu_does_not_ask_for_the_gpu() -> None:
    assert device_of_jobs("cpu").type == "cpu"
    with leased_device("auto", 0, "job", nobody_asks) as (device, names):
        assert (device.type, names) == ("cpu", [])


def nobody_asks() -> None:
    raise AssertionError("the job waited")


def test_the_module_is_light(host: Host) -> None:
    program = "import json, sys; from unlearnable.jobs import leases; print(json.dumps([*sys.modules]))"
    environment: dict[str, Any] = os.environ | {"PYTHONPATH": LIBRARY}
    done = subprocess.run([sys.executable, "-S", "-c", program], env=environment, capture_output=True, check=True)
    assert not {"torch", "numpy", "pydantic", "snakemake"} & set(json.loads(done.stdout))
