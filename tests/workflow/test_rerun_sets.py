"""What runs again after a change, and what does not: planned on the finished study."""

from __future__ import annotations

import ast
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from .pipeline import ELSEWHERE, FIGURES, PRODUCTS, TABLES, Config, Output, Project, checkout, reversed_keys, rules_of

TRADEOFF = {"tradeoff_table", "tradeoff_figure"}
VICTIM_PRODUCTS = set(PRODUCTS) - {"noise_sheet"}
NUMBERS = {"accuracy_table", "cost_table", "fraction_figure"}  # that are set beside published ones
COMPARISONS = {"comparison_table", "comparison_figure"}
RANKING = {"ranking_table", "heat_map"}
NOISE_STAGES = {"source_model", "noise", "merge_noise", "perturbed_dataset", "victim"}
DOWNSTREAM = NOISE_STAGES | set(PRODUCTS)
EVERYTHING = DOWNSTREAM | {"dataset"}
ANY = ""


def expected(outputs: dict[Output, bool], rules: set[str], cells: str) -> set[Output]:
    """The products among ``rules``, and of the other rules the outputs whose path matches ``cells``."""
    return {(rule, path) for rule, path in outputs if rule in rules and (rule in PRODUCTS or re.search(cells, path))}


def victims(**changes: Any) -> Config:
    return {"victim": {"by_dataset": {"tiny": changes}}}


def tiny(**changes: Any) -> Config:
    return {"experiments": {"tiny": changes}}


SETTINGS: dict[str, tuple[Config, set[str], str]] = {
    "victims' learning rate": (victims(lr=0.05), {"victim"} | VICTIM_PRODUCTS, ANY),
    "references": (tiny(references=[{"method": "ops"}]), COMPARISONS, ANY),
    "REM's J": ({"methods": {"rem": {"by_dataset": {"tiny": {"j": 2}}}}}, DOWNSTREAM, "/rem/"),
    "REM's J in the noise pass": (
        {"noise": {"by_dataset": {"tiny": {"by_method": {"rem": {"j": 2}}}}}},
        DOWNSTREAM - {"source_model"},
        "/rem/",
    ),
    "TAP's steps": (
        {"methods": {"tap": {"by_dataset": {"tiny": {"steps": 3}}}}},
        DOWNSTREAM - {"source_model"},
        "/tap/",
    ),
    "source models' steps for EM": (
        {"source_model": {"by_dataset": {"tiny": {"by_method": {"em": {"steps": 7}}}}}},
        DOWNSTREAM,
        "/em/",
    ),
    "the clean source model, which is TAP's": (
        {"source_model": {"by_dataset": {"tiny": {"by_method": {"clean": {"steps": 7}}}}}},
        DOWNSTREAM,
        "/source_model/tiny/clean/|/tap/",
    ),
    "one more seed": (tiny(seeds=[0, 1]), NOISE_STAGES | VICTIM_PRODUCTS, r"/s1\b"),
    "one more victim's radius": (
        tiny(
            victims=[
                {"networks": ["small-cnn"], "radii": [4, 8]},
                {"networks": ["small-cnn"], "radii": [0], "countermeasures": ["jpeg10"]},
            ]
        ),
        {"victim"} | VICTIM_PRODUCTS,
        "/r8/",
    ),
    "one more counter-measure": (
        tiny(
            victims=[
                {"networks": ["small-cnn"], "radii": [4]},
                {"networks": ["small-cnn"], "radii": [0], "countermeasures": ["jpeg10", "mixup"]},
            ]
        ),
        {"victim"} | VICTIM_PRODUCTS,
        "/mixup/",
    ),
    "a counter-measure's strength": (
        {"countermeasures": {"jpeg10": {"quality": 20}}},
        {"victim"} | VICTIM_PRODUCTS,
        "/jpeg10/",
    ),
    "one more share of protected images": (
        tiny(protected=[50, 100]),
        {"perturbed_dataset", "victim"} | set(PRODUCTS),
        "/p100/",
    ),
    "one more noise": (
        tiny(
            noises=[
                {"method": "clean"},
                {"method": "em", "rho_u": [16, 8]},
                {"method": "tap", "rho_u": [16]},
                {"method": "rem", "rho_u": [16], "rho_a": [4]},
                {"method": "sem", "rho_u": [16], "rho_a": [4]},
            ]
        ),
        DOWNSTREAM,
        "/em/u8-a0/",
    ),
    "one noise less": (tiny(noises=[{"method": "clean"}, {"method": "em", "rho_u": [16]}]), set(PRODUCTS), ANY),
    "augmentation": (
        {"datasets": {"tiny": {"augmentation": {"crop_padding": 2}}}},
        DOWNSTREAM,
        "/(em|tap|rem|sem|ops)/|/source_model/|/victim/",
    ),
    "size of the published files": (
        {"perturbed": {"rows_per_parquet": 30}},
        {"perturbed_dataset", "victim"} | set(PRODUCTS),
        ANY,
    ),
    "decimals of the accuracy table": ({"render": {"accuracy_table": {"decimals": 3}}}, {"accuracy_table"}, ANY),
    "style of the noise sheet": ({"render": {"noise_sheet": {"images": 2}}}, {"noise_sheet"}, ANY),
    "how jobs run": ({"runtime": {"device": "cpu", "checkpoint_seconds": 5}}, set(), ANY),
    "what this study does not use": (
        {
            "victim": {"default": {"batch_size": 32}, "by_dataset": {"fashion-mini": {"lr": 0.05}}},
            "methods": {"rem": {"by_dataset": {"fashion-mini": {"j": 2}}}},
            "experiments": {"radius": {"seeds": [7]}},
        },
        set(),
        ANY,
    ),
}


@pytest.mark.parametrize("change", SETTINGS)
def test_a_changed_setting_makes_exactly_these_run(finished: Project, tmp_path: Path, change: str) -> None:
    settings, rules, cells = SETTINGS[change]
    outputs = finished.having(settings, tmp_path).outputs()
    planned = {output for output, again in outputs.items() if again}
    assert rules_of(planned) == rules_of(expected(outputs, rules, cells))
    assert set(rules_of(planned)) == rules


def test_the_summary_agrees_with_the_dry_run(finished: Project, tmp_path: Path) -> None:
    changed = finished.having(tiny(seeds=[0, 1]), tmp_path)
    noises = {"source_model": 4, "noise": 6, "merge_noise": 5, "perturbed_dataset": 6}
    figures = VICTIM_PRODUCTS - set(TABLES)
    assert changed.job_counts() == noises | {"victim": 14, "table": len(TABLES), "figure": len(figures)}
    assert set(rules_of(changed.planned())) == {*noises, "victim", *VICTIM_PRODUCTS}


CODE: dict[str, tuple[set[str], str]] = {
    "scripts/victim.py": (set(), ANY),
    "scripts/table.py": (set(), ANY),
    "workflow/unlearnable/noises/em/noise.py": (DOWNSTREAM, "/em/"),
    "workflow/unlearnable/noises/sem/noise.py": (DOWNSTREAM, "/sem/"),
    "workflow/unlearnable/noises/rem/noise.py": (DOWNSTREAM, "/(rem|sem)/"),
    "workflow/unlearnable/noises/tap/noise.py": (DOWNSTREAM - {"source_model"}, "/tap/"),
    "workflow/unlearnable/networks/architectures/resnet18.py": (set(), ANY),
    "workflow/unlearnable/stages/source_model.py": (DOWNSTREAM, "/source_model/|/(em|tap|rem|sem)/"),
    "workflow/unlearnable/stages/merge_noise.py": (DOWNSTREAM - {"source_model", "noise"}, "/(em|tap|rem|sem|ops)/"),
    "workflow/unlearnable/stages/perturbed_dataset.py": ({"perturbed_dataset", "victim", *PRODUCTS}, ANY),
    "workflow/unlearnable/stages/victim.py": ({"victim"} | VICTIM_PRODUCTS, ANY),
    "workflow/unlearnable/countermeasures/jpeg/countermeasure.py": ({"victim"} | VICTIM_PRODUCTS, "/jpeg10/"),
    "workflow/unlearnable/datasets/readers/parquet/reader.py": (EVERYTHING, ANY),
    "workflow/unlearnable/datasets/readers/cifar/reader.py": (set(), ANY),
    "workflow/unlearnable/products/accuracy_table/table.py": ({"accuracy_table"}, ANY),
    "workflow/unlearnable/products/early_stopping_table/table.py": ({"early_stopping_table"}, ANY),
    "workflow/unlearnable/products/cost_table/table.py": ({"cost_table"}, ANY),
    "workflow/unlearnable/products/ranking.py": (RANKING, ANY),
    "workflow/unlearnable/products/curves.py": ({"training_curves", "loss_figure"}, ANY),
    "workflow/unlearnable/products/fraction_figure/figure.py": ({"fraction_figure"}, ANY),
    "workflow/unlearnable/products/noise_sheet/figure.py": ({"noise_sheet"}, ANY),
    "workflow/unlearnable/products/reported.py": (NUMBERS, ANY),
    "workflow/unlearnable/products/table.py": (set(TABLES), ANY),
    "workflow/unlearnable/products/figure.py": (set(FIGURES), ANY),
    "workflow/unlearnable/products/tradeoff.py": (TRADEOFF, ANY),
    "workflow/unlearnable/products/statistics.py": (COMPARISONS | RANKING | {"accuracy_figure"}, ANY),
    "workflow/unlearnable/products/budget.py": ({"accuracy_table", "comparison_table"}, ANY),
    "workflow/unlearnable/products/product.py": (set(PRODUCTS), ANY),
    "workflow/unlearnable/jobs/job.py": (set(), ANY),
    "workflow/unlearnable/study/study.py": (set(), ANY),
}


@pytest.mark.parametrize("file", CODE)
def test_changed_code_makes_exactly_the_stages_that_use_it_run(finished: Project, tmp_path: Path, file: str) -> None:
    rules, cells = CODE[file]
    copy = checkout(tmp_path / "repo", finished.repo)
    path = copy / file
    path.write_text(path.read_text() + "\nCHANGED = True\n")
    outputs = replace(finished, repo=copy).outputs()
    planned = {output for output, again in outputs.items() if again}
    assert rules_of(planned) == rules_of(expected(outputs, rules, cells))


@pytest.mark.parametrize("name", ["accuracy.csv", "settings.yaml"])
def test_other_published_data_makes_exactly_the_products_that_use_it_run(
    finished: Project, tmp_path: Path, name: str
) -> None:
    copy = checkout(tmp_path / "repo", finished.repo)
    path = copy / "workflow/references" / name
    path.write_text(path.read_text() + "\n")
    assert set(rules_of(replace(finished, repo=copy).planned())) == NUMBERS


def test_other_words_in_the_report_make_nothing_run(finished: Project, tmp_path: Path) -> None:
    copy = checkout(tmp_path / "repo", finished.repo)
    captions = sorted((copy / "workflow/unlearnable/products").glob("*/caption.rst"))
    assert len(captions) == len(PRODUCTS + ELSEWHERE)
    for caption in captions:
        caption.write_text("Other words.\n")
    assert replace(finished, repo=copy).planned() == set()


def programs(repo: Path) -> list[Path]:
    return [*(repo / "scripts").glob("*.py"), *(repo / "workflow/unlearnable").rglob("*.py")]


def touch(repo: Path) -> None:
    """New dates on every file, a comment in every rule file, and a network that nothing uses."""
    for path in (repo / "rules").glob("*.smk"):
        path.write_text(f"# A new comment.\n{path.read_text()}")
    (repo / "workflow/unlearnable/networks/architectures/another.py").write_text("WIDTH = 1\n")
    for path in repo.rglob("*"):
        os.utime(path)


def comment(repo: Path) -> None:
    """Other comments and another first docstring in every program."""
    for path in programs(repo):
        path.write_text("# A new comment.\n" + path.read_text().replace('"""', '"""Once more. ', 1) + "# The end.\n")


def reformat(repo: Path) -> None:
    """Every program as Python itself would write it: other quotes, line breaks and blank lines."""
    for path in programs(repo):
        path.write_text(ast.unparse(ast.parse(path.read_text())) + "\n")


def reorder(repo: Path) -> None:
    """The default configuration with its keys in the opposite order and without comments."""
    path = repo / "config/config.yaml"
    path.write_text(yaml.safe_dump(reversed_keys(yaml.safe_load(path.read_text())), sort_keys=False))


@pytest.mark.parametrize("edit", [touch, comment, reformat, reorder])
def test_an_edit_without_meaning_makes_nothing_run(
    finished: Project, tmp_path: Path, edit: Callable[[Path], None]
) -> None:
    copy = checkout(tmp_path / "repo", finished.repo)
    edit(copy)
    assert replace(finished, repo=copy).planned() == set()


def test_a_fresh_checkout_with_the_old_results_has_nothing_to_do(finished: Project, tmp_path: Path) -> None:
    copy = checkout(tmp_path / "repo", finished.repo)
    shutil.copytree(finished.work, copy, symlinks=True, dirs_exist_ok=True)
    moved = replace(finished, repo=copy, work=copy)
    assert moved.job_counts() == {}
    assert "Nothing to be done" in moved.run("-n")


def test_touched_results_make_nothing_run(finished: Project, tmp_path: Path) -> None:
    copy = finished.copied(tmp_path)
    for path in sorted((copy.work / "results").rglob("*")):
        os.utime(path)
    assert copy.planned() == set()


def test_touched_shards_that_are_too_large_to_be_compared_make_nothing_run(finished: Project, tmp_path: Path) -> None:
    copy = finished.copied(tmp_path)
    for path in sorted((copy.work / "results").rglob("*.npy")):
        os.utime(path)
    assert "Nothing to be done" in copy.run("-n", "--max-checksum-file-size", "1KB")


def test_what_snakemake_measured_can_be_lost_without_a_training_again(finished: Project, tmp_path: Path) -> None:
    copy = finished.copied(tmp_path)
    shutil.rmtree(copy.work / "results/benchmark")
    assert "Nothing to be done" in copy.run("-n")
    cost = "results/tables/tiny/cost.csv"
    (copy.work / cost).unlink()
    assert copy.job_counts(cost) == {"table": 1}
    copy.run(cost)
    assert pd.read_csv(copy.work / cost)["job_seconds"].isna().all()


def test_a_clock_that_jumps_makes_nothing_run(finished: Project, tmp_path: Path) -> None:
    """Each stage's results are years older than those that it was made from, which stem from the future."""
    copy = finished.copied(tmp_path)
    years = {"dataset": 2037, "source_model": 2036, "noise": 2035, "perturbed": 2034, "victim": 1990}
    for path in sorted((copy.work / "results").rglob("*")):
        year = years.get(path.relative_to(copy.work / "results").parts[0], 1980)
        os.utime(path, times=(time.mktime((year + (path.parent.name == "shards"), 1, 2, 0, 0, 0, 0, 0, 0)),) * 2)
    assert copy.planned() == set()
    assert "Nothing to be done" in copy.run("-n")


def test_reordered_keys_make_nothing_run(finished: Project, tmp_path: Path) -> None:
    study = tmp_path / "reordered.yaml"
    study.write_text(yaml.safe_dump(reversed_keys(finished.config), sort_keys=False))
    assert replace(finished, study=study).planned() == set()
