"""A source model that several ranks train under torchrun: killed in every way, and always the same bytes at the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .pipeline import Config, Project, dataset, script_process

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds its processes in /proc")

SOURCE = "results/source_model/tiny/em/u16-a0/s0"
CHECKPOINT = f"{SOURCE}/model.checkpoint.pt"
LOG = "logs/source_model/tiny/em/u16-a0/s0.log"
TWO = ("sources", "--set-resources", "source_model:gpu=2")


def study(images: Path) -> Config:
    """One source model, which takes two ranks some seconds."""
    em = {"by_method": {"em": {"steps": 300}}}
    return {
        "run": ["ranks"],
        "runtime": {"checkpoint_seconds": 1},
        "datasets": {"tiny": dataset(images)},
        "methods": {"em": {"by_dataset": {"tiny": {"k_u": 2, "start": "previous"}}}},
        "source_model": {"by_dataset": {"tiny": {"network": "small-cnn", "batch_size": 16, "history_every": 50, **em}}},
        "experiments": {
            "ranks": {
                "datasets": ["tiny"],
                "noises": [{"method": "em", "rho_u": [16]}],
                "victims": {"networks": ["small-cnn"], "radii": [0]},
                "products": ["accuracy-table"],
            }
        },
    }


def ranks(project: Project) -> dict[int, int]:
    """The processes of the working directory that are ranks, by their number."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").resolve() == project.work
            command = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if here and b"unlearnable.jobs.ranks.worker" in command and b"unlearnable.jobs.ranks.torchrun" not in command:
            (rank,) = [int(entry.removeprefix(b"RANK=")) for entry in environment if entry.startswith(b"RANK=")]
            found[rank] = int(process.name)
    return found


def started(project: Project, until: Callable[[], bool]) -> subprocess.Popen[str]:
    """Snakemake, as soon as its ranks are at work and ``until`` is true."""
    (project.work / LOG).unlink(missing_ok=True)
    process = project.start(*TWO)
    end = time.monotonic() + 400
    while not until():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    assert set(ranks(project)) == {0, 1}
    return process


def failed(process: subprocess.Popen[str], project: Project) -> str:
    """What a Snakemake that is about to fail prints; it leaves a checkpoint, no output and no rank."""
    printed = process.communicate(timeout=400)[0]
    assert process.returncode != 0, printed
    end = time.monotonic() + 100
    while ranks(project):
        assert time.monotonic() < end, ranks(project)
        time.sleep(0.02)
    assert [path.name for path in (project.work / SOURCE).iterdir() if not path.name.startswith(".")] == [
        Path(CHECKPOINT).name
    ]
    return printed


def test_ranks_that_are_killed_or_stopped_go_on_and_end_in_the_same_bytes(
    repo: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNLEARNABLE_GPUS", "a,b")
    monkeypatch.setenv("UNLEARNABLE_LEASES", str(tmp_path / "leases"))
    undisturbed = Project.new(repo, tmp_path / "undisturbed", study(images))
    undisturbed.run(*TWO)
    assert "computing on 2 x cpu" in undisturbed.read(LOG)
    project = Project.new(repo, tmp_path / "disturbed", study(images))

    def resumed() -> bool:
        return (project.work / LOG).exists() and re.search("resuming from .*\n.* step", project.read(LOG)) is not None

    process = started(project, (project.work / CHECKPOINT).exists)
    os.kill(ranks(project)[1], signal.SIGKILL)
    printed = failed(process, project)
    killed = "ERROR in rule source_model: rank 1 (of 2, counted from 0) was killed by SIGKILL; the same command"
    assert killed in printed
    log = project.read(LOG)
    assert killed in log
    assert "Traceback" not in log  # of the rank that lost its company

    process = started(project, resumed)
    script = script_process(process.pid, "source_model.py")
    assert script is not None
    os.kill(script, signal.SIGKILL)
    failed(process, project)

    process = started(project, resumed)
    script = script_process(process.pid, "source_model.py")
    assert script is not None
    os.kill(script, signal.SIGTERM)
    assert "STOPPED rule source_model: asked to stop: state saved after step" in failed(process, project)
    log = project.read(LOG)
    assert f"resuming from {CHECKPOINT}" in log
    assert log.count("resuming") == 1  # the others say nothing

    project.run(*TWO)
    assert f"resuming from {CHECKPOINT}" in project.read(LOG)
    assert not (project.work / CHECKPOINT).exists()
    assert project.bytes_below(SOURCE) == undisturbed.bytes_below(SOURCE)
    assert set(undisturbed.bytes_below(SOURCE)) == {f"{SOURCE}/model.safetensors", f"{SOURCE}/history.parquet"}
