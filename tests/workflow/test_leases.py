"""Jobs of a real run lease stand-ins of GPUs."""

from __future__ import annotations

import os
import re
import subprocess
import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from unlearnable.jobs import gpus, leases

from .pipeline import Config, Project, laid_over

LOGS = [f"logs/source_model/tiny/{of}/s0.log" for of in ("em/u16-a0", "clean/u0-a0", "sem/u16-a4")]
OUTSIDE = ("env", "-u", leases.TOKEN, "-u", gpus.VISIBLE)  # a command that does not belong to this process's lease


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two stand-ins that nobody holds."""
    monkeypatch.setenv(gpus.NAMES, "fake0,fake1")
    monkeypatch.setenv(leases.FOLDER, str(tmp_path / "leases"))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    return ["fake0", "fake1"]


def with_noises(tiny: Config, *methods: str) -> Config:
    """The tiny study, with the noises of some methods only."""
    noises = [noise for noise in tiny["experiments"]["tiny"]["noises"] if noise["method"] in methods]
    return laid_over(tiny, {"experiments": {"tiny": {"noises": noises, "products": ["accuracy-table"]}}})


def waiting(project: Project) -> list[str]:
    """The logs that say that their job waits."""
    return [log for log in LOGS if (project.work / log).exists() and "waiting for 1 GPU(s)" in project.read(log)]


def test_without_a_limit_jobs_wait_for_a_gpu_and_none_has_two_jobs_at_a_time(
    repo: Path, tiny: Config, devices: list[str], tmp_path: Path
) -> None:
    project = Project.new(repo, tmp_path / "study", with_noises(tiny, "em", "tap", "sem"))
    with leases.leased(2, "somebody else"):
        process = subprocess.Popen(
            [*OUTSIDE, *project.command("sources"), "--cores", "4"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        latest = time.monotonic() + 300
        while len(waiting(project)) < len(LOGS):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < latest, [project.read(log) for log in waiting(project)]
            time.sleep(0.1)
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed
    leased_by_jobs: dict[str, list[tuple[datetime, datetime]]] = {device: [] for device in devices}
    for log in LOGS:
        text = project.read(log)
        assert text.count("waiting for 1 GPU(s)") == 1
        assert f"fake0 is held by process {os.getpid()} (somebody else)" in text
        leased = re.search(r"^(\S+) leased GPU (\S+) after waiting for \d+ s$", text, re.MULTILINE)
        assert leased is not None, text
        end_of_log = datetime.fromtimestamp((project.work / log).stat().st_mtime)  # before the end of the lease
        begin = datetime.combine(end_of_log, datetime.strptime(leased[1], "%H:%M:%S").time())
        begin -= timedelta(days=begin > end_of_log)  # the log gives no date
        leased_by_jobs[leased[2]].append((begin, end_of_log.replace(microsecond=0)))
    for spans in leased_by_jobs.values():
        assert all(end <= begin for (_, end), (begin, _) in pairwise(sorted(spans))), spans
    assert not any(lease.held for lease in leases.holders())


def test_with_no_gpu_granted_jobs_lease_none_and_compute_on_the_cpu(
    repo: Path, tiny: Config, devices: list[str], tmp_path: Path
) -> None:
    project = Project.new(repo, tmp_path / "study", with_noises(tiny, "em"))
    with leases.leased(2, "somebody else"):
        project.run("sources", "--resources", "gpu=0", within=OUTSIDE)
    log = project.read(LOGS[0])
    assert "computing on cpu" in log
    assert "GPU" not in log


def test_more_gpus_than_a_rule_can_use_are_refused(repo: Path, tiny: Config, tmp_path: Path) -> None:
    project = Project.new(repo, tmp_path / "study", with_noises(tiny, "ops"))
    printed = project.run("noises", "--set-resources", "noise:gpu=2", ok=False)
    assert "noise was granted gpu=2, but can use only 1; grant it this number (--set-resources noise:gpu=1)" in printed
