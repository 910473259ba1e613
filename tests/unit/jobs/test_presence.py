"""Which processes run in a working directory, where something else is in the place of the file that tells."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from unlearnable.errors import UserError
from unlearnable.jobs import locks, presence
from unlearnable.jobs.presence import RECORD, RUNNING

PLANTS: dict[str, Callable[[Path], None]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, where Snakemake has run."""
    monkeypatch.chdir(tmp_path)
    presence.STATE.mkdir()
    return tmp_path


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("ask", [presence.join, presence.join_and_clear_dead_lock, presence.anything_running])
def test_what_is_not_a_plain_file_is_named(here: Path, ask: Callable[[], object], plant: str) -> None:
    PLANTS[plant](RUNNING)
    with pytest.raises(UserError, match=r"^\.snakemake/running: cannot be used to find out what runs here \(.+\); "):
        ask()


@pytest.mark.parametrize("plant", PLANTS)
def test_a_record_that_is_not_a_plain_file_is_named(here: Path, plant: str) -> None:
    PLANTS[plant](RECORD)
    with pytest.raises(UserError, match=r"^\.snakemake/record\.jsonl: cannot be used to find out what runs here"):
        presence.snakemake_running()


def test_a_lock_that_another_program_keeps_is_not_waited_for_without_an_end(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.1, raising=False)
    with open(RUNNING, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"^\.snakemake/running: .*another process has locked it"):
            presence.join()
    presence.join().close()


def test_processes_are_seen_until_they_leave(here: Path) -> None:
    assert not presence.anything_running()
    with presence.join(), presence.join():
        assert presence.anything_running()
    assert not presence.anything_running()
