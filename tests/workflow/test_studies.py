"""Every shipped study plans what it always planned: how many jobs, and under which paths."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from unlearnable.study.cells import NOISE, PERTURBED, SOURCE, VICTIM, Perturbed, path, perturbed_of, unique
from unlearnable.study.faults import DEFAULTS
from unlearnable.study.study import Study

from .pipeline import ROOT, Project

STUDIES = sorted(str(p.relative_to(ROOT / "config/studies")) for p in (ROOT / "config/studies").rglob("*.yaml"))
STAGES = ("dataset", "source_model", "noise", "merge_noise", "perturbed_dataset", "victim")

# Jobs of each stage, tables and figures, and the first characters of a hash of all cells' folders. A path that changes
# orphans the results that users have; a count that changes is a study that changed.
PINNED: dict[str, tuple[tuple[int, ...], int, str]] = {
    "arena.yaml": ((3, 72, 108, 108, 111, 786), 9, "2f28331d5a97"),
    "benchmark.yaml": ((5, 150, 1155, 300, 305, 7150), 6, "df0d824a64d9"),
    "bfloat16.yaml": ((1, 12, 12, 12, 13, 30), 2, "82fbe9009c81"),
    "cost-published.yaml": ((1, 12, 12, 12, 13, 30), 3, "ea4b1879b61f"),
    "cost.yaml": ((1, 54, 54, 54, 55, 120), 7, "ad1ea22058d9"),
    "fashion.yaml": ((1, 40, 40, 40, 41, 100), 8, "2dbe3f4817cd"),
    "methods.yaml": ((2, 33, 60, 60, 62, 132), 11, "10dd766fd7e6"),
    "paper-mini.yaml": ((2, 23, 35, 35, 57, 356), 19, "c6223bd32dd2"),
    "paper.yaml": ((3, 144, 1071, 186, 369, 2343), 18, "dce5144dcfa9"),
    "paper/architectures.yaml": ((2, 18, 24, 24, 26, 150), 1, "9cf26400e9d7"),
    "paper/augmentations.yaml": ((3, 27, 216, 36, 39, 360), 1, "e08dcb378361"),
    "paper/early-stopping.yaml": ((3, 63, 432, 72, 75, 405), 2, "b02fb342b0dc"),
    "paper/eot.yaml": ((3, 36, 216, 36, 39, 225), 2, "59fc9250e11a"),
    "paper/filters.yaml": ((3, 27, 216, 36, 39, 675), 1, "e477cab68b65"),
    "paper/fraction.yaml": ((3, 27, 216, 36, 219, 675), 2, "2e45da5449e4"),
    "paper/loss-curves.yaml": ((3, 18, 108, 18, 21, 54), 1, "03cc66ea0f88"),
    "paper/noise-sheet.yaml": ((3, 18, 171, 36, 36, 0), 3, "19797d699cee"),
    "paper/radius.yaml": ((3, 63, 432, 72, 75, 405), 2, "b02fb342b0dc"),
    "paper/rho16.yaml": ((3, 63, 432, 72, 75, 405), 2, "d958d4b82ae0"),
    "paper/time.yaml": ((3, 27, 216, 36, 39, 45), 1, "d2f1827da728"),
    "residual.yaml": ((1, 12, 12, 12, 13, 36), 6, "581b4edbec91"),
    "transfer.yaml": ((1, 9, 9, 9, 10, 72), 3, "12cdc69dfad0"),
    "validation.yaml": ((1, 12, 12, 12, 13, 30), 3, "217466d69e56"),
}


def shipped(name: str) -> Study:
    files = [ROOT / "config" / part for part in DEFAULTS]
    files.append(ROOT / "config/studies" / name)
    config: dict[str, Any] = {}
    for file in files:
        update_config(config, yaml.safe_load(file.read_text()))
    return Study(config, files, ROOT)


def perturbed(study: Study) -> list[Perturbed]:
    """The protected datasets, also those of victims that others start from."""
    return unique(map(perturbed_of, study.trained(*study.settings.run)))


def folders(study: Study) -> list[str]:
    run = study.settings.run
    stages: list[tuple[str, list[Any]]] = [
        (SOURCE, study.sources(*run)),
        (NOISE, study.noises(*run)),
        (PERTURBED, perturbed(study)),
        (VICTIM, study.trained(*run)),
    ]
    return sorted(path(template, cell) for template, cells in stages for cell in cells)


def test_every_shipped_study_is_pinned() -> None:
    assert sorted(PINNED) == STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_the_cells_of_a_study_are_pinned(name: str) -> None:
    study = shipped(name)
    stages, products, hashed = PINNED[name]
    found = folders(study)
    assert len(found) == len(set(found))
    assert hashlib.sha256("\n".join(found).encode()).hexdigest()[:12] == hashed, found[:3]
    run = study.settings.run
    noises, published = study.noises(*run), perturbed(study)
    shards = sum(study.shards(cell.dataset, cell.method) for cell in noises)
    datasets = len({cell.dataset for cell in published})
    assert (datasets, len(study.sources(*run)), shards, len(noises), len(published)) == stages[:-1]
    assert len(study.trained(*run)) >= stages[-1]  # a noise sheet needs none of its victims
    assert sum(len(study.settings.experiments[each].products) for each in run) == products


@pytest.mark.parametrize("name", [name for name in STUDIES if "/" not in name])
def test_a_dry_run_of_a_study_plans_the_pinned_jobs(repo: Path, tmp_path: Path, name: str) -> None:
    """The studies in paper/ are parts of paper.yaml."""
    (tmp_path / "run").mkdir()
    project = Project(repo, tmp_path / "run", {}, ROOT / "config/studies" / name)
    counts = project.job_counts("--quiet", "rules")
    stages = tuple(counts.pop(stage, 0) for stage in STAGES)
    assert (stages, sum(counts.values())) == PINNED[name][:2]


def test_the_paper_as_a_whole_is_its_parts() -> None:
    parts = [yaml.safe_load((ROOT / "config/studies" / n).read_text()) for n in STUDIES if n.startswith("paper/")]
    assert all(set(part) == {"run"} for part in parts)
    whole = yaml.safe_load((ROOT / "config/studies/paper.yaml").read_text())
    assert sorted(whole["run"]) == sorted(name for part in parts for name in part["run"])


def test_the_miniature_has_the_shape_of_the_paper() -> None:
    """Every table and figure of the paper, every method, every counter-measure."""
    paper, mini = shipped("paper.yaml").settings, shipped("paper-mini.yaml").settings

    def products(settings: Any, prefix: str) -> set[tuple[str, str]]:
        named = {name: settings.experiments[name] for name in settings.run if name.startswith(prefix)}
        return {(name.split("-")[1], product) for name, experiment in named.items() for product in experiment.products}

    assert products(paper, "paper-") <= products(mini, "mini-")
    used = [mini.experiments[name] for name in mini.run]
    methods = {axis.method for experiment in used for axis in experiment.noises}
    assert methods == set(mini.methods) - {"rem-fast", "sem-pil"}  # variants of two of the others
    measures = {name for experiment in used for axis in experiment.victims for name in axis.countermeasures}
    assert measures == set(mini.countermeasures)
    networks = {name for experiment in used for axis in experiment.victims for name in axis.networks}
    assert {"vgg16-bn", "resnet18", "resnet50", "densenet121", "wrn34-10"} <= networks
