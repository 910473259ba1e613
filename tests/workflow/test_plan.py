"""The plan of a real study: the jobs that Snakemake would run, the very passes that were made, and errors at once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from .pipeline import Config, Project, rules_of

LISTING = """
import json, sys
from pathlib import Path
from unlearnable.tools.plan.jobs import ask_snakemake
from unlearnable.tools.plan.plan import sizes_of
from unlearnable.tools.plan.reading import read_study
from unlearnable.tools.plan.tasks import Planner
study, work = read_study(Path(sys.argv[1])), Path(sys.argv[2])
jobs = ask_snakemake([Path(sys.argv[1])], work)
sizes = sizes_of(study, jobs, work)
tasks = Planner(study, jobs, sizes, dict.fromkeys(sizes, 1.0)).tasks()
print(json.dumps([[task.stage, task.metrics, task.passes, task.bytes] for task in tasks if task.metrics]))
"""

REFUSED = """
import sys
from unlearnable.tools.plan.__main__ import main
try:
    main(["--configfile", sys.argv[1]])
finally:
    assert "torch" not in sys.modules
"""


def python(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the library of the project's copy."""
    path = os.pathsep.join([str(project.repo / "workflow"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=300)


def plan(project: Project, *options: str) -> str:
    """What ``make plan`` prints of a study."""
    where = ("--configfile", str(project.study), "--directory", str(project.work))
    done = python(project, "-m", "unlearnable.tools.plan", *where, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sections(printed: str) -> list[str]:
    """Jobs, passes, time, space and how far off."""
    return [f"\n{section}" for section in re.split(r"\n\n(?=jobs |passes |[Tt]ime|disk |finished |How )", printed)]


def counts(section: str) -> dict[str, tuple[int, ...]]:
    """By the first cell of the rows of a table that hold three whole numbers: these numbers."""
    rows = re.findall(r"^(\w+(?: \w+)*) +([\d,]+) +([\d,]+) +([\d,]+)$", section, re.MULTILINE)
    return {name: tuple(int(number.replace(",", "")) for number in numbers) for name, *numbers in rows}


def recorded(finished: Project) -> dict[str, dict[str, Any]]:
    """What the jobs that pass images through a network recorded, by their file."""
    outputs = rules_of(set(finished.outputs()))
    paths = [path for rule in ("source_model", "noise", "victim") for path in outputs[rule] if path.endswith(".json")]
    return {path: finished.json(path) for path in paths}


def test_the_plan_counts_the_passes_and_the_bytes_that_were_made(finished: Project) -> None:
    done = python(finished, "-c", LISTING, str(finished.study), str(finished.work))
    assert done.returncode == 0, done.stderr
    tasks: list[list[Any]] = json.loads(done.stdout)
    planned = {path: passes for stage, path, passes, _ in tasks if stage != "perturbed dataset"}
    assert planned == {path: metrics["passes"] for path, metrics in recorded(finished).items()}
    for stage, path, _, size in tasks:
        if stage == "noise":
            written = (finished.work / path).with_suffix(".npy").stat().st_size
            assert 0 < written - size <= 256  # the file's header


def test_a_finished_study_has_nothing_to_do_and_says_how_far_off_estimates_are(finished: Project) -> None:
    printed = plan(finished)
    jobs, passes, time, _, off = sections(printed)
    metrics = recorded(finished).values()
    in_all = sum(content["passes"] for content in metrics)
    assert counts(passes)["in all"] == (in_all, in_all, 0)
    assert all(every == done > 0 == due for every, done, due in counts(jobs).values())
    assert "tiny: 64 training and 40 test images (as stored)." in passes
    assert time.strip() == "Time: nothing is to do."
    compared = re.findall(r"^(\w+(?: \w+)*) +(\d+) +\d+ \w+ +[\d.]+ +[\d.]+ to [\d.]+$", off, re.MULTILINE)
    assert [stage for stage, _ in compared] == ["source model", "noise", "perturbed dataset", "victim"]
    assert "PNGs are taken" not in printed  # their size is measured on what is published


def test_the_jobs_are_those_that_snakemake_would_start(finished: Project, tmp_path: Path) -> None:
    change: Config = {"victim": {"by_dataset": {"tiny": {"steps": 7}}}}
    changed = finished.having(change, tmp_path)
    printed = plan(changed, "--jobs", "3")
    jobs, passes, time, *_ = sections(printed)
    due = {rule: due for rule, (_, _, due) in counts(jobs).items() if due and rule != "in all"}
    assert due == changed.job_counts()
    assert due["victim"] == counts(jobs)["victim"][0]
    assert "source_model" not in due
    every, done, again = counts(passes)["victim"]
    assert every == again > sum(metrics["passes"] for path, metrics in recorded(finished).items() if "/victim/" in path)
    assert done == 0
    assert re.search(rf"^victim +{due['victim']} +(core|GPU) +\d+ \w+ +\d+ \w+$", time, re.MULTILINE)
    assert "3 job(s)" in time


def test_a_fresh_study_is_planned_before_its_dataset_is_stored(finished: Project, tmp_path: Path) -> None:
    fresh = Project.new(finished.repo, tmp_path, finished.config)
    jobs, passes, _, space, off = sections(plan(fresh))
    assert {rule: due for rule, (_, _, due) in counts(jobs).items() if rule != "in all"} == fresh.job_counts()
    in_all = sum(metrics["passes"] for metrics in recorded(finished).values())
    assert counts(passes)["in all"] == (in_all, 0, in_all)
    assert "tiny: 64 training and 40 test images (counted on disk)." in passes
    assert "PNGs are taken to be as large as their pixels, as none are there yet: tiny." in space
    assert "there are no finished jobs" in off


def test_a_faulty_study_is_refused_in_one_line_before_torch_is_loaded(finished: Project, tmp_path: Path) -> None:
    faulty = finished.having({"victim": {"by_dataset": {"tiny": {"stepps": 5}}}}, tmp_path)
    done = python(faulty, "-c", REFUSED, str(faulty.study))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "victim.by_dataset.tiny.stepps: unknown key; did you mean 'steps'?" in line
    assert line.startswith(str(faulty.study))
    assert line in faulty.run("all", ok=False)  # the very line that Snakemake prints
