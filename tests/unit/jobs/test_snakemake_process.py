"""Whether another process is still there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from unlearnable.jobs import snakemake_process as parent
from unlearnable.jobs.snakemake_process import Process


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture(params=["handle", "number"])
def known_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a process is known: a handle that the system gives, or, where it gives none, its number."""
    if request.param == "number":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    elif not hasattr(os, "pidfd_open"):
        pytest.skip("this system gives no handles of processes")
    return str(request.param)


def test_a_process_is_there_until_it_ends(known_by: str, sleeper: subprocess.Popen[bytes]) -> None:
    process = Process(sleeper.pid)
    assert not process.gone()
    sleeper.kill()
    if known_by == "number":
        sleeper.wait()  # the number is kept for a process that nobody waited for
    end = time.monotonic() + 60
    while not process.gone():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert process.gone()


@pytest.mark.usefixtures("known_by")
def test_a_process_that_ended_before_anybody_looked_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    assert Process(sleeper.pid).gone()


def test_a_process_without_snakemake_is_no_orphan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(parent.VARIABLE, raising=False)
    assert parent.snakemake() is None
    assert not parent.orphaned()


def test_a_process_is_an_orphan_when_its_snakemake_is_gone(
    monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]
) -> None:
    monkeypatch.setenv(parent.VARIABLE, str(os.getppid()))
    assert not parent.orphaned()
    monkeypatch.setenv(parent.VARIABLE, str(sleeper.pid))
    sleeper.kill()
    sleeper.wait()
    assert parent.orphaned()


@pytest.mark.skipif(sys.platform != "linux", reason="the age of a process is read in /proc")
def test_a_younger_process_with_the_number_of_snakemake_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]
) -> None:
    assert Process(os.getpid()).older_than(sleeper.pid)
    monkeypatch.setenv(parent.VARIABLE, str(sleeper.pid))
    assert parent.orphaned()
