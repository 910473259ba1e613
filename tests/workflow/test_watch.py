"""The overview of a study that really runs, ends, fails, or was killed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .pipeline import ROOT, Project, dataset, script_process, wait_for
from .slow import CHECKPOINTS, LOGS, before

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
LIBRARY = [sys.executable, "-m", "unlearnable.tools.watch"]


def watch(directory: Path, code: int = 0) -> str:
    """What is printed of a working directory."""
    command = [*LIBRARY, "--once", "--directory", str(directory)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def row(text: str, rule: str) -> list[str]:
    """A rule's row of the table."""
    return next(line.split()[1:] for line in text.splitlines() if line.startswith(rule))


@pytest.fixture(scope="module")
def small(repo: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study of which only datasets are made here, without torch; ``gone`` is one whose files are missing."""
    folder = tmp_path_factory.mktemp("small")
    axes = {"noises": [{"method": "clean"}], "victims": {"networks": ["small-cnn"], "radii": [0]}}
    config = {
        "run": ["small"],
        "datasets": {"tiny": dataset(images), "gone": dataset(folder / "nowhere")},
        "experiments": {
            "small": {"datasets": ["tiny"], "products": ["accuracy-table"], **axes},
            "failing": {"datasets": ["tiny", "gone"], "products": ["accuracy-table"], **axes},
        },
    }
    return Project.new(repo, folder / "study", config)


def test_a_folder_without_a_run_has_nothing_to_show(tmp_path: Path) -> None:
    assert watch(tmp_path) == f"No run has begun in {tmp_path} yet.\n"
    assert "there is no such folder" in watch(tmp_path / "nowhere", code=1)


def test_watching_loads_nothing_heavy() -> None:
    heavy = (
        "import sys, unlearnable.tools.watch.__main__; "
        "print({'torch', 'numpy', 'pandas', 'snakemake'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", heavy], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n"


def test_each_run_is_shown_in_its_turn(small: Project) -> None:
    small.run("datasets")
    text = watch(small.work)
    assert ": finished, " in text
    assert "2 of 2 jobs done (100 %)" in text
    assert row(text, "dataset ") == ["1", "1"]
    small.run("perturbed", "-n")
    small.run("datasets")
    assert watch(small.work) == text  # neither a dry run nor one with nothing to do is a run
    small.run("perturbed")
    assert row(watch(small.work), "perturbed_dataset") == ["1", "1"]


@pytest.mark.parametrize("quiet", [[], ["all"]])
def test_it_does_not_matter_what_snakemake_prints(small: Project, tmp_path: Path, quiet: list[str]) -> None:
    project = Project.new(small.repo, tmp_path, small.config)
    printed = project.run("datasets", "--quiet", *quiet)
    assert "steps (" not in printed
    assert "2 of 2 jobs done (100 %)" in watch(project.work)


def test_a_job_that_fails_shows_the_end_of_its_log_in_the_run_and_beside_it(small: Project, tmp_path: Path) -> None:
    failing = Project.new(small.repo, tmp_path, small.config | {"run": ["failing"]})
    printed = failing.run("results/dataset/gone/manifest.json", "--retries", "1", ok=False)
    log = "logs/dataset/gone.log"
    assert printed.count(f"The last lines of {log}:") == 2  # of the second attempt too
    assert "ERROR in rule dataset: " in printed.split(f"The last lines of {log}:")[1]
    events = [json.loads(line)["event"] for line in failing.read(".snakemake/record.jsonl").splitlines()]
    assert events == ["run", "start", "error", "again", "start", "error", "end"]
    text = watch(failing.work)
    assert ": ended, 1 failed, " in text
    assert row(text, "dataset ") == ["1", "1"]
    assert "Dataset gone: to shards" in text
    assert "ERROR in rule dataset: " in text.split("Failed")[1]
    assert f"all of it: {log}" in text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds its processes in /proc")
def test_a_run_is_shown_while_it_runs_and_when_it_was_killed(undisturbed: Project, tmp_path: Path) -> None:
    project = before("source_model", undisturbed, tmp_path / "study")
    process = project.start("sources")
    wait_for(project.work / CHECKPOINTS["source_model"], process)
    script = script_process(process.pid, "source_model.py")
    assert script is not None
    os.kill(script, signal.SIGSTOP)  # so that it stays as it is looked at
    try:
        text = watch(project.work)
        assert ": running, " in text
        assert "1 of 3 jobs done (33 %), about " in text
        assert row(text, "source_model") == ["1", "1"]
        last = project.read(LOGS["source_model"]).splitlines()[-1]
        assert re.search(rf"\n  Source model: em u16-a0 on tiny, seed 0, \d+ s\n    {re.escape(last)}\n", text)
        refused = project.run("sources", ok=False)
        assert "Directory cannot be locked" in refused
        assert "Jobs of a killed Snakemake are still running here" not in refused  # Snakemake is, too
        assert ": running, " in watch(project.work)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        assert ": its Snakemake was killed; jobs are still running, " in watch(project.work)
    finally:
        os.kill(script, signal.SIGKILL)
        process.communicate(timeout=60)
    assert ": killed; no job is running, " in watch(project.work)


def test_a_terminal_is_drawn_anew_until_ctrl_c(small: Project, tmp_path: Path) -> None:
    project = Project.new(small.repo, tmp_path, small.config)
    main, terminal = pty.openpty()
    command = [*LIBRARY, "--directory", str(project.work)]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    try:
        shown(main, "No run has begun")
        project.run("datasets")
        shown(main, "2 of 2 jobs done")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert "Traceback" not in shown(main, "")
    finally:
        process.kill()
        process.wait()
        os.close(main)


def shown(terminal: int, awaited: str) -> str:
    """What a terminal gets, up to some text; what is there already, for no text."""
    text, end = "", time.monotonic() + 60
    while time.monotonic() < end and (not awaited or awaited not in text):
        if not select.select([terminal], [], [], 0.1)[0]:
            if not awaited:
                break
            continue
        try:
            text += os.read(terminal, 65536).decode()
        except OSError:  # nobody has the other end any more
            break
    assert awaited in text
    return text
