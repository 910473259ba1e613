"""What was killed goes on where its last checkpoint stood and ends in the very same bytes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from .pipeline import Project, script_process, wait_for
from .slow import CHECKPOINTS, LOGS, TARGETS, assert_same_results, before

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds its processes in /proc")


def interrupted(project: Project, stage: str, number: signal.Signals, everything: bool = False) -> str:
    """Run the study, and send a signal to ``stage``'s script, or to Snakemake and all its jobs, after a checkpoint."""
    process = project.start(TARGETS[stage])
    wait_for(project.work / CHECKPOINTS[stage], process)
    script = script_process(process.pid, f"{stage}.py")
    assert script is not None
    if everything:
        os.killpg(process.pid, number)
    else:
        os.kill(script, number)
    printed = process.communicate(timeout=120)[0]
    assert process.returncode != 0, printed
    assert (project.work / CHECKPOINTS[stage]).exists()
    return printed


@pytest.mark.parametrize("stage", LOGS)
def test_a_killed_job_goes_on_and_ends_in_the_same_bytes(undisturbed: Project, tmp_path: Path, stage: str) -> None:
    project = before(stage, undisturbed, tmp_path / "study")
    interrupted(project, stage, signal.SIGKILL)
    checkpoint = project.work / CHECKPOINTS[stage]
    checkpoint.with_name(f".{checkpoint.name}.1.part").touch()  # as if the kill had met the writing of another one
    project.run(TARGETS[stage])
    assert f"resuming from {CHECKPOINTS[stage]}" in project.read(LOGS[stage])
    assert_same_results(stage, project, undisturbed)


@pytest.mark.parametrize("stage", LOGS)
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(undisturbed: Project, tmp_path: Path, stage: str) -> None:
    project = before(stage, undisturbed, tmp_path / "study")
    interrupted(project, stage, signal.SIGKILL, everything=True)
    assert list((project.work / ".snakemake/locks").glob("*.lock"))  # a dead one's, and no obstacle
    project.run(TARGETS[stage])
    assert f"resuming from {CHECKPOINTS[stage]}" in project.read(LOGS[stage])
    assert_same_results(stage, project, undisturbed)


def test_a_run_is_refused_while_a_job_of_a_killed_one_is_at_work(undisturbed: Project, tmp_path: Path) -> None:
    project = before("source_model", undisturbed, tmp_path / "study")
    process = project.start("sources")
    wait_for(project.work / CHECKPOINTS["source_model"], process)
    script = script_process(process.pid, "source_model.py")
    assert script is not None
    os.kill(script, signal.SIGSTOP)  # at work, and not done before the second run starts
    try:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        refused = project.run("sources", ok=False)
        assert "Directory cannot be locked" in refused
        assert "Jobs of a killed Snakemake are still running here." in refused
    finally:
        os.kill(script, signal.SIGKILL)
        process.communicate(timeout=60)
    project.run("sources")
    assert "resuming from" in project.read(LOGS["source_model"])


@pytest.fixture(scope="module")
def stopped(undisturbed: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study whose source model's training was asked to stop, as Slurm asks at a time limit."""
    project = before("source_model", undisturbed, tmp_path_factory.mktemp("stopped") / "study")
    interrupted(project, "source_model", signal.SIGTERM)
    return project


def test_a_job_that_is_asked_to_stop_saves_its_state(stopped: Project) -> None:
    log = stopped.read(LOGS["source_model"])
    assert "STOPPED rule source_model: asked to stop: state saved after step" in log
    assert "the same command continues from there" in log


def test_a_checkpoint_of_other_settings_is_ignored(stopped: Project, tmp_path: Path) -> None:
    change = {"source_model": {"by_dataset": {"tiny": {"by_method": {"em": {"steps": 5}}}}}}
    other = stopped.copied(tmp_path).having(change, tmp_path)
    other.run("sources")
    log = other.read(LOGS["source_model"])
    assert f"{CHECKPOINTS['source_model']}: checkpoint of other settings, code or inputs; ignored" in log
    assert "resuming" not in log
    assert not (other.work / CHECKPOINTS["source_model"]).exists()


def test_a_stopped_job_goes_on_and_ends_in_the_same_bytes(
    stopped: Project, undisturbed: Project, tmp_path: Path
) -> None:
    project = stopped.copied(tmp_path)
    project.run("sources")
    assert f"resuming from {CHECKPOINTS['source_model']}" in project.read(LOGS["source_model"])
    assert_same_results("source_model", project, undisturbed)
