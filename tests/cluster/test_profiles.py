"""The shipped profiles: they combine with the default one, and a wrong name stops before anything runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow.pipeline import BIN, ROOT, Config, Project, wait_for

PROFILES = sorted(path.parent.name for path in ROOT.glob("profiles/*/config.yaml"))
CLUSTERS = ["cluster-generic", "kubernetes", "slurm"]


def profile(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))
    return loaded


def plan(repo: Path, folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    """The exit code and the output of a dry run of the default study, started in the project's folder."""
    command = [str(BIN / "snakemake"), "sources", "-n", "--cores", "1", "-d", str(folder), *options]
    inherited = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
    done = subprocess.run(
        command,
        cwd=repo,
        env=inherited | {"PWD": str(repo)} | environment,  # a shell says where it starts a command
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_that_replaces_the_default_one_keeps_its_settings(name: str) -> None:
    default = profile("default")
    expected = default | ({"keep-going": False} if name == "ci" else {})
    assert {key: profile(name).get(key) for key in default} == expected


@pytest.mark.parametrize("name", CLUSTERS)
def test_each_attempt_of_a_cluster_job_may_use_more_memory(name: str) -> None:
    settings = profile(name)
    assert settings["retries"] > 0
    rules = [settings["default-resources"], *settings["set-resources"].values()]
    assert all(rule["mem_mb"].endswith("* attempt") for rule in rules)
    assert all(rule["runtime"].endswith("* attempt") for rule in rules if "runtime" in rule)


def test_retries_are_left_to_the_profiles(repo: Path) -> None:
    assert not [path for path in repo.glob("rules/*.smk") if re.search(r"^\s*retries:", path.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "kubernetes"])  # which wants a bucket
def test_a_workflow_profile_is_found_by_its_name(repo: Path, tmp_path: Path, name: str) -> None:
    code, printed = plan(repo, tmp_path / "run", "--workflow-profile", name)
    assert code == 0, printed
    assert f"Using workflow specific profile profiles/{name} " in printed


@pytest.mark.parametrize(
    ("name", "meant"),
    [("profiles/slrum", "did you mean slurm? "), ("kubernets", "did you mean kubernetes? "), ("x", "")],
)
def test_a_misspelt_workflow_profile_is_refused(repo: Path, tmp_path: Path, name: str, meant: str) -> None:
    code, printed = plan(repo, tmp_path / "run", "--workflow-profile", name)
    assert code != 0
    known = ", ".join(PROFILES)
    assert f"--workflow-profile {name}: there is no such profile; {meant}known: {known}" in printed.splitlines()
    assert "source_model" not in printed


def test_a_workflow_profile_is_refused_where_its_path_leads_nowhere(repo: Path, tmp_path: Path) -> None:
    command = [str(BIN / "snakemake"), "-n", "--cores", "1", "-s", str(repo / "Snakefile")]
    options = ["--workflow-profile", "profiles/slurm"]  # beside the Snakefile, not here
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "there is no such profile; did you mean slurm?" in done.stdout


def test_a_workflow_profile_may_name_the_working_directory(repo: Path, tmp_path: Path) -> None:
    settings = profile("ci") | {"directory": str(tmp_path / "run")}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.yaml").write_text(yaml.safe_dump(settings))
    command = [str(BIN / "snakemake"), "sources", "-n", "--cores", "1", "-s", str(repo / "Snakefile")]
    done = subprocess.run(
        [*command, "--workflow-profile", "mine"],
        cwd=tmp_path,
        env=os.environ | {"PWD": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "run/.snakemake").is_dir()


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_misspelt_profile_is_refused(repo: Path, tmp_path: Path, how: str) -> None:
    options = ["--profile", "profiles/slrum"] if how == "option" else []
    environment = {} if how == "option" else {"SNAKEMAKE_PROFILE": "profiles/slrum"}
    code, printed = plan(repo, tmp_path / "run", *options, **environment)
    assert code != 0
    assert "Error: profile directory given (profiles/slrum)" in printed
    assert "source_model" not in printed


QSUB = """#!/bin/sh
echo "$@" >> {folder}/qsub.log
number=$(wc -l < {folder}/qsub.log)
for script; do :; done
echo $number.server
echo running > {folder}/$number
{start}
"""
START = """
setsid sh -c "sh $script; echo \\$? > {folder}/$number.part; mv {folder}/$number.part {folder}/$number" \\
  > {folder}/$number.log 2>&1 &
"""
QSTAT = """#!/bin/sh
touch {folder}/asked
for job; do :; done
status=$(cat {folder}/${{job%.server}})
case $status in
  running) echo "    job_state = R" ;;
  *) echo "    job_state = F"; echo "    Exit_status = $status" ;;
esac
"""
QDEL = """#!/bin/sh
echo "$@" >> {folder}/qdel.log
"""
LOST = """
[ $number != 1 ] || {{ echo 271 > {folder}/1; exit 0; }}  # killed before it wrote a thing
"""


def batch_system(folder: Path, start: str) -> dict[str, str]:
    """An environment with a batch system that runs what it is given in the background; it writes into ``folder``."""
    (folder / "bin").mkdir(parents=True)
    for name, text in (("qsub", QSUB), ("qstat", QSTAT), ("qdel", QDEL)):
        command = folder / "bin" / name
        filled = text.replace("{start}", start).format(folder=folder)
        command.write_text(filled, encoding="ascii")
        command.chmod(0o755)
    return os.environ | {"PATH": os.pathsep.join([str(folder / "bin"), str(BIN), os.environ["PATH"]])}


def generic(project: Project, target: str, seconds: str = "1") -> list[str]:
    """The command line that runs a target through the batch system, and asks it how jobs are after so many seconds."""
    files = ["-s", str(project.repo / "Snakefile"), "-d", str(project.work), "--configfile", str(project.study)]
    options = ["--profile", str(project.repo / "profiles/cluster-generic"), "--seconds-between-status-checks", seconds]
    return [str(BIN / "snakemake"), target, *files, *options, "--latency-wait", "5"]


needs_setsid = pytest.mark.skipif(
    shutil.which("setsid") is None, reason="setsid is not installed, with which its batch system starts jobs"
)


@needs_setsid
def test_jobs_go_through_a_batch_system_and_a_lost_one_comes_back_with_more(
    repo: Path, tiny: Config, tmp_path: Path
) -> None:
    project = Project.new(repo, tmp_path / "study", tiny)
    noise = "results/noise/tiny/ops/u0-a0/s0/shards/0-of-1.npy"
    environment = batch_system(tmp_path / "batch", LOST + START)
    done = subprocess.run(generic(project, noise), env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (project.work / noise).exists()
    first, second = (tmp_path / "batch/qsub.log").read_text().splitlines()
    assert "-N noise -q gpu -l select=1:ncpus=1:ngpus=1:mem=16000mb -l walltime=4:00:00" in first
    assert "mem=32000mb -l walltime=8:00:00" in second


def test_an_interrupted_run_cancels_its_jobs(repo: Path, tiny: Config, tmp_path: Path) -> None:
    project = Project.new(repo, tmp_path / "study", tiny)
    environment = batch_system(tmp_path / "batch", "")
    target = "results/noise/tiny/ops/u0-a0/s0/shards/0-of-1.npy"
    process = subprocess.Popen(
        generic(project, target, "3"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(tmp_path / "batch/asked", process, seconds=100)
    time.sleep(1)  # Snakemake cancels nothing of what it is just asking about; the next time is in three seconds
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert (tmp_path / "batch/qdel.log").read_text().splitlines() == ["1.server"]
