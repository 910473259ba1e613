"""A study of what a user adds to the library, each thing in files of its own and one entry of YAML."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from . import extensions
from .pipeline import Project, checkout
from .test_plan import counts, plan, python, sections

PLAN = """
import json, sys
from pathlib import Path
import torch
from unlearnable.study.cells import NOISE, SOURCE, VICTIM, path
from unlearnable.tools.plan.calibration import calibrate
from unlearnable.tools.plan.jobs import PlannedJob
from unlearnable.tools.plan.reading import read_study
from unlearnable.tools.plan.sizes import size_of
from unlearnable.tools.plan.tasks import Planner
from unlearnable.tools.plan.times import Times, kinds_of
study = read_study(Path(sys.argv[1]))
run = study.settings.run
places = [PlannedJob("source_model", path(SOURCE, cell)) for cell in study.sources(*run)]
places += [PlannedJob("noise", path(NOISE, cell) + "/shards/0-of-1") for cell in study.noises(*run)]
places += [PlannedJob("victim", path(VICTIM, cell)) for cell in study.victims(*run)]
size = size_of(study.layers.dataset("ramps"), Path(), None)
tasks = Planner(study, dict.fromkeys(places, False), {"ramps": size}, {"ramps": 1.0}).tasks()
times = Times(calibrate(kinds_of(tasks), torch.device("cpu")).speeds, {})
print(json.dumps([vars(size), [[task.stage, task.metrics, task.passes, times.of(task)] for task in tasks]]))
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study with a noise, a reader, two counter-measures and a network that the library does not have."""
    repo = checkout(tmp_path_factory.mktemp("extended") / "repo")
    extensions.add(repo / "workflow" / "unlearnable")
    return Project.new(repo, tmp_path_factory.mktemp("study"), extensions.STUDY)


def test_planning_asks_them_what_they_cost(extended: Project) -> None:
    done = python(extended, "-c", PLAN, str(extended.study))
    assert done.returncode == 0, done.stderr
    size, tasks = json.loads(done.stdout)
    assert size == {"train": 24, "test": 12, "source": "as described"}
    assert {metrics: passes for _, metrics, passes, _ in tasks} == {
        "results/source_model/ramps/signs/u8-a0/s0/metrics.json": extensions.SOURCE_PASSES,
        "results/noise/ramps/signs/u8-a0/s0/shards/0-of-1.json": extensions.NOISE_PASSES,
        **{
            f"results/victim/ramps/signs/u8-a0/p100/one-layer/{name}/r0/s0/metrics.json": expected
            for name, expected in extensions.VICTIM_PASSES.items()
        },
    }
    assert all(seconds > 0 for *_, seconds in tasks)


def test_snakemake_plans_jobs_of_a_new_noise_reader_counter_measure_and_network(extended: Project) -> None:
    found = extended.job_counts()
    stages = ("dataset", "source_model", "noise", "perturbed_dataset", "victim")
    assert {rule: found[rule] for rule in stages} == {
        "dataset": 1,
        "source_model": 1,
        "noise": 1,
        "perturbed_dataset": 1,
        "victim": len(extensions.VICTIM_PASSES),
    }


def test_the_plan_counts_and_times_what_they_cost(extended: Project) -> None:
    printed = plan(extended)
    _, passes, time, *_ = sections(printed)
    of_victims = sum(extensions.VICTIM_PASSES.values())
    found = counts(passes)
    assert found["source model"] == (extensions.SOURCE_PASSES, 0, extensions.SOURCE_PASSES)
    assert found["noise"] == (extensions.NOISE_PASSES, 0, extensions.NOISE_PASSES)
    assert found["victim"] == (of_victims, 0, of_victims)
    assert "ramps: 24 training and 12 test images (as described)." in passes
    assert "NOT estimated" not in time


def test_what_is_planned_for_them_is_what_they_do(extended: Project, tmp_path: Path) -> None:
    fresh = Project.new(extended.repo, tmp_path, extended.config)
    fresh.run("victims")
    results = "results/{}/ramps/signs/u8-a0/{}/metrics.json"
    assert fresh.json(results.format("source_model", "s0"))["passes"] == extensions.SOURCE_PASSES
    assert fresh.json(results.format("noise", "s0"))["passes"] == extensions.NOISE_PASSES
    for name, passes in extensions.VICTIM_PASSES.items():
        assert fresh.json(results.format("victim", f"p100/one-layer/{name}/r0/s0"))["passes"] == passes


# ---- products

PRODUCT_SETTINGS = '''
from unlearnable.products.settings import {base}


class {name}({base}):
    """Made for this test."""

    product = "{product}"
    stem = "{stem}"
    title = "{title}"
'''


def add_product(repo: Path, kind: str, product: str, stem: str, title: str) -> None:
    """A folder with a table or figure that copies the code of one that there is."""
    products = repo / "workflow/unlearnable/products"
    folder = products / product.replace("-", "_")
    folder.mkdir()
    base, name = f"{kind.capitalize()}Settings", product.title().replace("-", "")
    about = PRODUCT_SETTINGS.format(base=base, name=name, product=product, stem=stem, title=title)
    (folder / "settings.py").write_text(about)
    (folder / "__init__.py").touch()
    (folder / "caption.rst").write_text("A new one.\n")
    (folder / f"{kind}.py").write_text((products / f"accuracy_{kind}/{kind}.py").read_text())


def test_a_new_table_and_a_new_figure_are_planned(finished: Project, tmp_path: Path) -> None:
    repo = checkout(tmp_path / "repo", finished.repo)
    add_product(repo, "table", "short-table", "short", "a short table")
    add_product(repo, "figure", "bar-chart", "bars", "a bar chart")
    products = [*finished.config["experiments"]["tiny"]["products"], "short-table", "bar-chart"]
    change = {"experiments": {"tiny": {"products": products}}, "render": {"short_table": {"decimals": 0}}}
    study = replace(finished.having(change, tmp_path), repo=repo)
    printed = study.run("-n")
    assert "Table: a short table, tiny" in printed
    assert "Figure: a bar chart, tiny" in printed
    assert study.job_counts() == {"table": 1, "figure": 1}
