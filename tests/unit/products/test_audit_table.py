"""An audit: what is measured of a release, and what it says in plain words."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unlearnable import files
from unlearnable.datasets import shards
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.products.audit_table import table as audit_table
from unlearnable.products.audit_table.classifiers import histogram_accuracy, histograms, noise_accuracies
from unlearnable.products.audit_table.verdicts import Protection, protection, solved_by_histogram, verdict
from unlearnable.products.product import Inputs

from ..measured import Cell, given, markdown_rows, table_files, victim, write_metrics

CLASSES = [f"class {number}" for number in range(10)]


def drawn(seed: int, count: int = 200) -> Split:
    """Random images that no classifier can tell apart."""
    draws = np.random.default_rng(seed)
    return Split(draws.integers(30, 226, (count, 8, 8, 3), np.uint8), np.arange(count) % 10, CLASSES)


def changed(split: Split, noise: Array) -> Split:
    return Split((split.images[:] + noise).astype(np.uint8), split.labels, CLASSES)


# ---- classifiers without a network


def test_a_colour_histogram_tells_colours_apart_and_nothing_else() -> None:
    brightness = 25 * np.arange(200)[:, None, None, None] % 250
    bright = Split(np.broadcast_to(brightness, (200, 8, 8, 3)).astype(np.uint8), np.arange(200) % 10, CLASSES)
    assert histogram_accuracy(bright, bright) >= 0.4  # ten levels of grey fall into four of its colours
    assert histogram_accuracy(drawn(0), drawn(1)) < 0.25


def test_histograms_are_shares_of_pixels() -> None:
    images = np.zeros((2, 2, 2, 3), np.uint8)
    images[1, 0, 0] = (255, 0, 64)
    found = histograms(images)
    assert found.shape == (2, 64)
    assert found[0, 0] == 1
    assert sorted(found[1])[-2:] == [0.25, 0.75]
    assert histograms(images[..., :1]).shape == (2, 4)


def test_noise_of_shortcuts_is_told_apart_and_random_noise_is_not() -> None:
    images = drawn(0)
    patterns = np.random.default_rng(1).choice([-8, 8], (10, 8, 8, 3))
    linear, two_layers, tested = noise_accuracies(images, changed(images, patterns[images.labels]))
    assert (linear, two_layers, tested) == (1, 1, 40)
    linear, two_layers, _ = noise_accuracies(
        images, changed(images, np.random.default_rng(2).choice([-8, 8], images.images.shape))
    )
    assert max(linear, two_layers) < 0.35


def test_the_noise_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match="not the same images"):
        noise_accuracies(drawn(0), drawn(0, 100))


# ---- verdicts


def test_the_interval_covers_seeds_and_test_images() -> None:
    originals, release = np.array([78.0, 80.0, 79.0]), np.array([31.0, 29.0, 30.0])
    narrow, wide = (protection(originals, release, 10, images) for images in (100_000, 50))
    assert narrow.mean == wide.mean == pytest.approx(100 * 49 / 69)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high
    # Differences 47, 51, 49 have sd 2: with endless test images it is Student's interval.
    endless = protection(originals, release, 10, 10**12)
    assert endless.high - endless.mean == pytest.approx(100 * 4.3027 * 2 / math.sqrt(3) / 69, rel=1e-3)
    # Without any difference between seeds, that of the normal distribution for 50 images.
    same = protection(np.full(3, 79.0), np.full(3, 30.0), 10, 50)
    assert same.high - same.mean == pytest.approx(100 * 1.96 * math.sqrt((79 * 21 + 30 * 70) / 50) / 69, rel=1e-3)


def test_one_seed_has_no_interval_and_nothing_learnt_no_protection() -> None:
    assert math.isnan(protection(np.array([80.0]), np.array([30.0]), 10, 100).low)
    assert math.isnan(protection(np.array([14.0, 15.0]), np.array([10.0, 10.0]), 10, 100).mean)


@pytest.mark.parametrize(
    ("accuracies", "found", "solved", "said"),
    [
        ((78, 31), Protection(69, 55, 80), None, "protected against X: 31 % of 78 %"),
        ((78, 71), Protection(10, -5, 20), None, "not protected against X: 71 % of 78 %"),
        ((78, 71), Protection(10, -5, 20), "it is easy", "not protected against X: 71 % of 78 %"),
        ((78, 40), Protection(56, 40, 72), None, "undecided about X: 40 % of 78 %, protection between 40 % and 72 %"),
        ((78, 31), Protection(69, 55, 80), "it is easy", "this task cannot show protection against X: it is easy"),
        ((78, 31), Protection(69, math.nan, math.nan), None, "no verdict on X: 31 % of 78 %, from one seed only"),
        (
            (12, 10),
            Protection(math.nan, math.nan, math.nan),
            None,
            "no verdict on X: the originals teach it nothing (12 %, chance is 10 %)",
        ),
    ],
)
def test_verdicts_are_plain(accuracies: tuple[float, float], found: Protection, solved: str | None, said: str) -> None:
    assert verdict("X", *accuracies, 10, found, solved)[1] == said


def test_a_histogram_near_the_network_solves_the_task() -> None:
    assert solved_by_histogram(74, 78) == "a colour histogram solves it (74 % of 78 %)"
    assert solved_by_histogram(60, 78) is None


# ---- the table


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Manifests of the datasets originals and released; the noise is one pattern for each class."""
    images = drawn(0)
    patterns = np.random.default_rng(1).choice([-8, 8], (10, 8, 8, 3))
    paths = []
    for name, train in (("originals", images), ("released", changed(images, patterns[images.labels]))):
        folder = tmp_path / name
        found: dict[str, str] = {}
        for half, split in (("train", train), ("test", drawn(3, 50))):
            found |= shards.write(folder / half, split, 1000)[1]
        files.write_json(folder / "manifest.json", {"classes": CLASSES, files.HASHES: found})
        paths.append(folder / "manifest.json")
    return paths


def cells() -> list[Cell]:
    return [
        victim("clean", seed, dataset=dataset, radius=radius)
        for dataset in ("originals", "released")
        for radius in (0, 4)
        for seed in (2, 0, 1)
    ]


def measure(cell: Cell) -> dict[str, float]:
    accuracy = {("originals", 0): 0.8, ("originals", 4): 0.78, ("released", 0): 0.2, ("released", 4): 0.71}
    return {"test_accuracy": accuracy[cell["dataset"], cell["radius"]] + 0.01 * cell["seed"], "test_images": 200}


def test_a_release_is_compared_with_its_originals(tmp_path: Path, folders: list[Path]) -> None:
    inputs, out = Inputs(victims=write_metrics(tmp_path, cells(), measure), datasets=folders), table_files(tmp_path)
    audit_table.write(given("audit-table", {}, victims=cells()), inputs, out)
    found = pd.read_csv(out.csv).set_index("trainer")
    standard, adversarial, histogram, linear, two_layers = (row for _, row in found.iterrows())
    assert standard["verdict"] == "protected against standard training (resnet18, 8 pixels): 21 % of 81 %"
    assert adversarial["verdict"].startswith("not protected against adversarial training within 4/255")
    assert [standard["finding"], adversarial["finding"]] == ["protected", "not protected"]
    assert standard["protection"] == pytest.approx(100 * 60 / 71)
    assert standard[["originals_mean", "originals_sd", "n"]].tolist() == pytest.approx([81, 1, 3])
    assert 0 < histogram["originals_mean"] < 40
    assert linear["release_mean"] == two_layers["release_mean"] == 100
    header, *rows = markdown_rows(out.markdown)
    assert header == ["trainer", "originals, %", "release, %", "protection, % [95 %]", "verdict"]
    assert [row[2] for row in rows[:2]] == ["21.0 ± 1.0 (3)", "72.0 ± 1.0 (3)"]
    assert rows[3][:3] == ["linear classifier of the noise alone (8 pixels)", "", "100.0"]


def test_an_audit_needs_a_release(tmp_path: Path, folders: list[Path]) -> None:
    alone = [cell for cell in cells() if cell["dataset"] == "originals"]
    inputs = Inputs(victims=write_metrics(tmp_path, alone, measure), datasets=folders[:1])
    with pytest.raises(UserError, match="two datasets, the originals and then a release"):
        audit_table.write(given("audit-table", {}, victims=alone), inputs, table_files(tmp_path))
