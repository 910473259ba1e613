"""No job lives on without its Snakemake, whatever signal that got, and nothing is lost by it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from .pipeline import ROOT, Project, script_process, wait_for
from .slow import CHECKPOINTS, LOGS, SOURCE, TARGETS, assert_same_results, before

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds its processes in /proc")


def members(group: int) -> list[str]:
    """The command lines of the processes of a process group that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            mine = os.getpgid(int(folder.name)) == group
            line = (folder / "cmdline").read_text(encoding="utf-8", errors="replace")
        except OSError:  # ended meanwhile
            continue
        if mine and line:  # a zombie has none
            found.append(line.replace("\0", " "))
    return found


def signalled(project: Project, stage: str, number: signal.Signals, everybody: bool) -> tuple[int, str]:
    """Run the study, and send a signal to Snakemake, or to all its processes too, once ``stage`` has saved its state.

    Returns:
        Snakemake's exit code, and what it and its jobs printed until the last of them ended.
    """
    process = project.start(TARGETS[stage])
    wait_for(project.work / CHECKPOINTS[stage], process)
    (os.killpg if everybody else os.kill)(process.pid, number)
    printed = process.communicate(timeout=120)[0]  # ends when nobody can print any more
    assert members(process.pid) == []
    return process.returncode, printed


@pytest.mark.parametrize("stage", LOGS)
def test_a_job_whose_snakemake_is_killed_saves_its_state_and_stops(
    undisturbed: Project, tmp_path: Path, stage: str
) -> None:
    project = before(stage, undisturbed, tmp_path / "study")
    signalled(project, stage, signal.SIGKILL, everybody=False)
    log = project.read(LOGS[stage])
    assert f"STOPPED rule {stage}: Snakemake (process " in log
    assert ") is gone: state saved after step " in log
    assert (project.work / CHECKPOINTS[stage]).exists()
    project.run(TARGETS[stage])
    assert f"resuming from {CHECKPOINTS[stage]}" in project.read(LOGS[stage])
    assert_same_results(stage, project, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_all_processes_makes_jobs_save_their_state_and_stop(
    undisturbed: Project, tmp_path: Path, number: signal.Signals
) -> None:
    project = before("source_model", undisturbed, tmp_path / "study")
    code, printed = signalled(project, "source_model", number, everybody=True)
    assert code != 0
    assert "STOPPED rule source_model: asked to stop: state saved after step " in printed
    assert (project.work / CHECKPOINTS["source_model"]).exists()
    assert not (project.work / SOURCE / "model.safetensors").exists()
    if number == signal.SIGINT:
        assert_few_lines(printed)


def assert_few_lines(printed: str) -> None:
    """The end of a run of one job after Ctrl-C: a line of the job's, and Snakemake's own."""
    lines = printed.splitlines()
    stops = [place for place, line in enumerate(lines) if "STOPPED rule source_model: " in line]
    terminating = lines.index("Terminating processes on user request, this might take some time.")
    assert len(stops) == 1
    ends = [line.split(":")[0] for line in lines[max(stops[0], terminating) + 1 :]]
    assert ends == [
        "Complete log(s)",
        "Elapsed time",
        "WorkflowError",
        "At least one job did not complete successfully.",
    ]
    assert "Traceback" not in printed


def test_ctrl_c_while_a_job_imports_modules_is_one_line(undisturbed: Project, tmp_path: Path) -> None:
    project = before("source_model", undisturbed, tmp_path / "study")
    project.run("datasets")
    process = project.start("sources")
    while script_process(process.pid, "source_model.py") is None:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    printed = process.communicate(timeout=120)[0]
    assert "STOPPED rule source_model: interrupted; " in printed
    assert_few_lines(printed)
    assert members(process.pid) == []


def test_snakemake_waits_for_its_jobs_when_it_alone_is_asked_to_end(undisturbed: Project, tmp_path: Path) -> None:
    project = before("source_model", undisturbed, tmp_path / "study")
    code, printed = signalled(project, "source_model", signal.SIGTERM, everybody=False)
    assert code != 0
    assert "STOPPED" not in printed
    assert_same_results("source_model", project, undisturbed)
    assert "source_model" not in project.job_counts("sources")


def test_a_job_that_comes_too_late_touches_nothing(tmp_path: Path) -> None:
    """As one whose Snakemake was killed while it imported torch: another run may be at the same job by then."""
    script = """
        import sys
        from types import SimpleNamespace
        from unlearnable.jobs.job import job
        nothing = SimpleNamespace(recipe={"inputs": {}})
        with job(SimpleNamespace(rule="noise", log=["noise.log"], input=[], params=nothing)):
            print("at work")
    """
    (tmp_path / "noise.log").write_text("of another job")
    snakemake = subprocess.Popen(["sleep", "60"])
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "UNLEARNABLE_SNAKEMAKE": str(snakemake.pid)}
    command = [sys.executable, "-c", textwrap.dedent(script)]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    try:
        assert run().stdout == "at work\n"
        (tmp_path / "noise.log").write_text("of another job")
    finally:
        snakemake.kill()  # and not waited for: what is left of it keeps its number
    done = run()
    snakemake.wait()
    assert (done.returncode, done.stdout) == (75, "")
    assert "STOPPED rule noise: its Snakemake is gone; nothing was started" in done.stderr
    assert (tmp_path / "noise.log").read_text() == "of another job"
