"""What the Snakefile does to its process and to the working directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SESSION = """
import gc, json, logging, os, sys
from types import SimpleNamespace

from unlearnable.tools.session import begin

logger = logging.getLogger("snakemake")
workflow = SimpleNamespace(basedir=sys.argv[1], is_main_process=sys.argv[2] == "main", overwrite_workdir=None)
sys.argv[1:] = sys.argv[3:]
begin(workflow, logger)
from unlearnable.jobs.presence import anything_running

print(json.dumps({
    "path": os.environ["PYTHONPATH"].split(os.pathsep),
    "snakemake": os.environ["UNLEARNABLE_SNAKEMAKE"] == str(os.getpid()),
    "gc": gc.get_threshold(),
    "handlers": [type(handler).__name__ for handler in logger.handlers],
    "running": anything_running(),
    "heavy": sorted({"torch", "numpy", "pandas"} & set(sys.modules)),
}))
"""


def session(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that begins a session in a folder."""
    return subprocess.run(
        [sys.executable, "-c", SESSION, str(ROOT), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
        timeout=120,
    )


def found(folder: Path, *arguments: str) -> dict[str, Any]:
    """What that process says of itself."""
    done = session(folder, *arguments)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_the_main_process_prepares_its_jobs_clears_a_dead_lock_and_records_the_run(tmp_path: Path) -> None:
    dead = tmp_path / ".snakemake/locks/0.input.lock"
    dead.parent.mkdir(parents=True)
    dead.touch()
    assert found(tmp_path, "main") == {
        "path": [str(ROOT / "workflow")] * 2,
        "snakemake": True,
        "gc": [50_000, 20, 50],
        "handlers": ["Recorder", "_Unpaced"],
        "running": True,
        "heavy": [],
    }
    assert not dead.exists()


def test_a_job_that_reads_the_snakefile_leaves_the_locks_and_the_record_alone(tmp_path: Path) -> None:
    dead = tmp_path / ".snakemake/locks/0.input.lock"
    dead.parent.mkdir(parents=True)
    dead.touch()
    of_job = found(tmp_path, "job")
    assert (of_job["snakemake"], of_job["handlers"], of_job["running"]) == (True, [], False)
    assert dead.exists()


def test_a_workflow_profile_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    refused = session(tmp_path, "main", "--workflow-profile", "slurn")
    assert refused.returncode == 1
    assert "WorkflowError: --workflow-profile slurn: there is no such profile; did you mean slurm?" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_that_tells_what_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".snakemake/running").mkdir(parents=True)
    refused = session(tmp_path, "main")
    assert refused.returncode == 1
    assert "WorkflowError: .snakemake/running: cannot be used to find out what runs here (" in refused.stderr


LOOKS = """
import atexit, logging
from pathlib import Path
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler
from unlearnable.tools.pacing import start_jobs_unpaced

if config["unpaced"]:
    start_jobs_unpaced(logger, workflow)
looks, finish = [], JobScheduler._finish_jobs
JobScheduler._finish_jobs = lambda self: looks.append(1) or finish(self)
if workflow.is_main_process:
    atexit.register(lambda: Path("looks").write_text(str(len(looks))))

rule all:
    input: expand("{job}.txt", job=range(JOBS))

rule job:
    output: "{job}.txt"
    shell: "sleep 0.3; touch {output}"
"""


def test_snakemake_looks_for_jobs_once_for_each_that_ends(tmp_path: Path) -> None:
    """With its limit of the rate it looks again a second after each look, for ever."""
    jobs = 12
    (tmp_path / "Snakefile").write_text(LOOKS.replace("JOBS", str(jobs)))
    looks = []
    for unpaced in (True, False):
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--forceall", "--config", f"unpaced={unpaced}"]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=120)
        looks.append(int((tmp_path / "looks").read_text()))
    assert looks[0] <= jobs + 3
    assert looks[1] > looks[0]
