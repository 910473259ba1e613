"""Published numbers: what the data holds, and which measured cells it is set beside."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from unlearnable.errors import UserError
from unlearnable.products.product import VictimCell
from unlearnable.products.reported import (
    FOLDER,
    Accuracy,
    GenerationTime,
    Published,
    data_files,
    load_reported,
    load_settings,
)

from ..measured import COUNTERMEASURES, by_dataset, victim

REM = VictimCell(**victim("rem"))
STANDARD, ADVERSARIAL = 40_000, 440_000  # passes of the published victims


def published(cell: dict[str, Any], passes: int = ADVERSARIAL, stage: int = 0, **settings: Any) -> float | None:
    methods, changed = by_dataset(cell["dataset"]), by_dataset(cell["dataset"], **settings)
    stages = methods[cell["dataset"]][cell["method"]] * 2
    stages[stage] = changed[cell["dataset"]][cell["method"]][0]
    methods[cell["dataset"]][cell["method"]] = stages
    return Published(methods, COUNTERMEASURES).accuracy(VictimCell(**cell), passes)


def test_every_row_parses_and_names_its_source() -> None:
    accuracies = load_reported(FOLDER / "accuracy.csv", Accuracy)
    times = load_reported(FOLDER / "generation-time.csv", GenerationTime)
    assert len(accuracies) == 235
    assert len(times) == 14
    assert all(len(row.source) > 10 for row in [*accuracies, *times])


def test_no_fact_stands_twice() -> None:
    for name in ("accuracy.csv", "generation-time.csv"):
        with (FOLDER / name).open(newline="") as file:
            facts = [
                tuple(value for key, value in row.items() if key not in ("accuracy", "sd", "n", "passes", "source"))
                for row in csv.DictReader(file)
            ]
        assert len(facts) == len(set(facts))


def test_of_fu_et_al_there_is_only_what_another_paper_repeats_and_its_citation_says_so() -> None:
    rows = [row for row in load_reported(FOLDER / "accuracy.csv", Accuracy) if row.reference == "fu2022"]
    assert len(rows) == 65
    assert all("read in the CUDA paper (CVPR 2023)" in row.source for row in rows)
    assert all("which says it adopts their numbers" in row.source for row in rows)
    assert {row.radius for row in rows} == {0, 4}  # those in between were not read anywhere
    assert {row.rho_a for row in rows if row.noise == "rem"} == {4}
    assert {row.network for row in rows} == {"resnet18", "vgg16-bn", "wrn34-10", "densenet121"}
    assert {row.dataset for row in rows} == {"cifar10", "cifar100", "imagenet100"}


def test_the_readme_explains_every_column() -> None:
    text = (FOLDER / "README.md").read_text()
    assert [name for name in Accuracy.model_fields if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("source", ""), ("accuracy", "about 48"), ("accuracy", "148"), ("subset", "half"), ("radius_norm", "l3")],
)
def test_a_row_that_says_nothing_sound_is_named_and_refused(tmp_path: Path, column: str, value: str) -> None:
    with (FOLDER / "accuracy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:3]
    rows[1][column] = value
    with (tmp_path / "accuracy.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(UserError, match=rf"accuracy.csv, row 2, column {column}: .*not {value!r}"):
        load_reported(tmp_path / "accuracy.csv", Accuracy)


@pytest.mark.parametrize(
    ("cell", "passes", "accuracy"),
    [
        (victim("rem", radius=4), ADVERSARIAL, 48.16),
        (victim("rem"), STANDARD, 27.09),
        (victim("clean"), STANDARD, 94.66),
        (victim("clean", radius=4, protected=80), ADVERSARIAL, 79.41),
        (victim("rem", radius=4, protected=80), ADVERSARIAL, 88.09),
        (victim("em-augmented", radius=4, network="vgg16-bn"), ADVERSARIAL, 86.48),
        (victim("tap-fu2022", dataset="cifar100"), STANDARD, 13.75),
        (victim("rem", dataset="imagenet100", radius=4), 360_000, 41.66),
    ],
)
def test_a_cell_finds_the_number_of_its_own_axes(cell: dict[str, Any], passes: int, accuracy: float) -> None:
    assert published(cell, passes) == accuracy


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "fashion-mini"},
        {"dataset": "cifar10-mini"},
        {"rho_u": 16},
        {"rho_a": 3},
        {"protected": 50},
        {"network": "resnet50"},
        {"countermeasure": "trades"},
        {"radius": 3},
        {"method": "em"},
    ],
)
def test_one_other_axis_and_there_is_no_number(change: dict[str, Any]) -> None:
    assert published(victim("rem", radius=4) | change) is None


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("rem", {"attack": "free"}),
        ("rem", {"j": 1}),
        ("rem", {"clip": "pixels"}),
        ("rem", {"expectation": "identity"}),
        ("rem", {"alpha_u": 0.01}),
        ("rem", {"k_u": 7, "alpha_u": 0.25, "k_a": 7, "alpha_a": 0.25, "j": 4}),
        ("em-augmented", {"alpha_u": 0.1}),
        ("em-augmented", {"source_model_steps": 50}),
        ("tap-fu2022", {"steps": 5}),
        ("em-augmented", {"frame": "raw"}),
        ("tap-fu2022", {"preset": "original", "alpha": 0.05, "restarts": 8}),
    ],
)
def test_a_method_that_is_set_otherwise_has_no_number(method: str, settings: dict[str, Any]) -> None:
    cell = victim(method, radius=4)
    assert published(cell) is not None
    assert published(cell, stage=0, **settings) is None
    assert published(cell, stage=1, **settings) is None


def test_a_smaller_budget_has_no_number() -> None:
    assert published(victim("rem", radius=4), ADVERSARIAL - 1) is None
    assert published(victim("rem"), STANDARD - 1) is None


def test_what_others_measured_is_set_beside_nothing(tmp_path: Path) -> None:
    accuracies = load_reported(FOLDER / "accuracy.csv", Accuracy)
    assert any(row.reference == "iss" and row.noise == "rem" for row in accuracies)
    assert published(victim("rem", countermeasure="gray"), STANDARD) is None
    shutil.copytree(FOLDER, tmp_path / "references")
    path = tmp_path / "references/accuracy.csv"
    path.write_text(path.read_text().replace("fu2022,", "other,"))
    assert Published(by_dataset("cifar10"), COUNTERMEASURES, path.parent).accuracy(REM, STANDARD) is None


def test_a_generation_time_is_that_of_the_dataset_the_method_and_the_budget() -> None:
    times = Published(by_dataset("cifar10", "mini"), COUNTERMEASURES)
    found = times.generation_time(REM, 3_019_500)
    assert found is not None
    assert (found.hours, found.hardware) == (22.6, "1 Tesla V100, 10 CPU cores")
    assert times.generation_time(REM, 2_000_000) is None
    assert times.generation_time(VictimCell(**victim("rem", dataset="mini")), 3_019_500) is None
    assert times.generation_time(VictimCell(**victim("em")), 58_910) is None  # computed in the frame of the raw image
    ops = times.generation_time(VictimCell(**victim("ops")), 0)
    assert ops is not None
    assert ops.hardware == "GeForce RTX 2080 Ti"


# ---- what the methods of publications were


def test_a_product_depends_on_all_published_numbers_and_settings() -> None:
    assert [path.name for path in data_files()] == ["accuracy.csv", "generation-time.csv", "settings.yaml"]


def test_the_settings_are_those_of_methods_that_accuracies_are_published_of() -> None:
    published = load_settings(FOLDER / "settings.yaml")
    rows = load_reported(FOLDER / "accuracy.csv", Accuracy)
    for reference, settings in published.items():
        known = {(row.dataset, row.noise) for row in rows if row.reference == reference}
        assert {(dataset, algorithm) for dataset, methods in settings.items() for algorithm in methods} <= known


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("fu2022: {cifar10: {em: {k_u: [1]}}}", r"fu2022\.cifar10\.em\.k_u: .*, not \[1\]"),
        ("fu2022: {cifar10: 3}", r"fu2022\.cifar10: .*, not 3"),
        ("fu2022: {CIFAR: {}}", r"fu2022\.CIFAR.*: .*, not 'CIFAR'"),
        ("fu2022: {", "not a YAML file: .*"),
        ("", ".*, not None"),
    ],
)
def test_settings_that_say_nothing_sound_are_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"^{path}: {message}$") as refused:
        load_settings(path)
    assert "\n" not in str(refused.value)


def test_a_setting_that_the_method_does_not_have_is_named(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "references")
    path = tmp_path / "references/settings.yaml"
    path.write_text("fu2022: {cifar10: {rem: {k_x: 3}}}")
    with pytest.raises(UserError, match=r"settings\.yaml: fu2022\.cifar10\.rem\.k_x: the method rem has no such"):
        Published(by_dataset("cifar10"), COUNTERMEASURES, path.parent).accuracy(REM, STANDARD)
