"""Planning stays affordable: what it loads, what it computes more than once, and what it leaves to the system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from unlearnable.files import write_json
from unlearnable.study.comparisons import comparing
from unlearnable.study.study import Study

from .pipeline import ROOT, Project, laid_over, tiny_study

HEAVY = {"torch", "torchvision", "pandas", "pyarrow", "matplotlib", "scipy", "PIL"}
# The snakemake command, watched: how often each function of study/study.py ran, and in what state the process ended.
WATCHED = """
import atexit, collections, gc, json, os, sys
calls = collections.Counter()
def count(frame, event, argument):
    if event == "call" and frame.f_code.co_filename.endswith("/unlearnable/study/study.py"):
        calls[frame.f_code.co_name] += 1
def tell():
    modules = [name for name in sys.modules if name.split(".")[0] == "unlearnable"]
    report = {"modules": modules, "calls": calls, "left": gc.get_freeze_count()}
    with open(os.environ["REPORT"], "w") as file:
        json.dump(report, file)
atexit.register(tell)  # what is registered first is called last
sys.setprofile(count)
from snakemake.cli import main
main()
"""
LOAD = "import importlib, sys; [importlib.import_module(m) for m in sys.argv[1:]]; print(*sys.modules)"


@dataclass(frozen=True)
class Planning:
    """A dry run.

    Attributes:
        study: what was planned.
        modules: the library modules that were loaded at its end.
        calls: how often each function of ``unlearnable.study.study`` ran.
        left: how many objects were not taken apart at the end.
    """

    study: Study
    modules: list[str]
    calls: Counter[str]
    left: int


@pytest.fixture(scope="module")
def planning(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Planning:
    folder = tmp_path_factory.mktemp("planning")
    config = laid_over(tiny_study(folder / "data"), {"experiments": {"tiny": {"seeds": [0, 1]}}})
    project = Project.new(repo, folder / "project", config)
    report = folder / "report.json"
    # Of a dataset that is not stored yet, a plan counts the images, with its reader.
    write_json(project.work / "results/dataset/tiny/manifest.json", {"train": {"rows": 64}})
    command = [sys.executable, "-P", "-c", WATCHED, *project.command("all", "-n", "--quiet", "rules")[1:]]
    environment = os.environ | {"REPORT": str(report)}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    told = json.loads(report.read_text(encoding="utf-8"))
    for name in reversed(("config.yaml", "datasets.yaml", "paper.yaml")):
        config = laid_over(yaml.safe_load((repo / "config" / name).read_text(encoding="utf-8")), config)
    return Planning(Study(config), told["modules"], Counter(told["calls"]), told["left"])


def test_planning_loads_nothing_heavy_of_ours(planning: Planning) -> None:
    """Every job on a cluster reads the Snakefile again. Plugins of Snakemake's may load what they like."""
    assert "unlearnable.study.study" in planning.modules
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    command = [sys.executable, "-c", LOAD, *planning.modules]
    loaded = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300)
    assert sorted(HEAVY.intersection(loaded.stdout.split())) == []


def test_settings_and_cells_are_computed_once(planning: Planning) -> None:
    study, calls = planning.study, planning.calls
    noises, perturbed, sources = study.noises("tiny"), study.perturbed("tiny"), study.sources("tiny")
    assert len(noises) > 4
    assert calls["noise_settings"] == len(noises)  # asked for by every shard, twice, by the merge and by the dataset
    assert calls["source_settings"] == len(sources)
    assert calls["perturbed_settings"] == len(perturbed)
    assert calls["dataset_settings"] == len({cell.dataset for cell in perturbed})
    assert {calls[name] for name in ("perturbed", "noises", "sources")} == {1}
    checked = {name for name, experiment in study.settings.experiments.items() if comparing(experiment)}
    assert calls["victims"] == len({"tiny", *checked})  # those that compare are checked, whether they run or not


def test_the_end_of_a_plan_is_left_to_the_system(planning: Planning) -> None:
    """To take the objects of a large plan apart one by one takes seconds."""
    assert planning.left > 10_000


def test_the_measurement_of_planning_plans_and_finishes_a_study(repo: Path, tmp_path: Path) -> None:
    config = tiny_study(tmp_path / "data")
    config["experiments"]["tiny"] |= {"noises": [{"method": "ops"}], "products": ["accuracy-table"]}
    study = Project.new(repo, tmp_path / "project", config).study
    command = [sys.executable, "-m", "benchmarks.dag", str(repo), "--study", str(study)]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300).stdout
    jobs = [int(line.split("  ")[-1] == str(repo) and line[22:29]) for line in printed.splitlines()[1:]]
    assert jobs[0] > 5
    assert jobs[1:] == [0, 0]  # a quiet dry run lists none, and nothing is left to do
