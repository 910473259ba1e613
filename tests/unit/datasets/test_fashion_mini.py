"""The images that come with the repository."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from unlearnable import registry
from unlearnable.datasets import read as readers
from unlearnable.datasets.encoded import decode
from unlearnable.datasets.settings import Dataset
from unlearnable.datasets.split import Split
from unlearnable.datasets.stream import Stream

ROOT = Path(__file__).parents[3]
ORIGINALS = Path("/usr/share/datasets/fashion-mnist")


def without_augmentation(description: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in description.items() if key != "augmentation"}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    found: dict[str, Any] = config["datasets"]["fashion-mini"]
    return found


@pytest.fixture(scope="module")
def splits(description: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Split, Split]:
    dataset: Dataset = registry.validated("readers", without_augmentation(description))
    train, test, _ = readers.read(dataset, ROOT, tmp_path_factory.mktemp("downloads"))
    return whole(train, dataset.classes), whole(test, dataset.classes)


def whole(stream: Stream, classes: list[str]) -> Split:
    return Split(np.concatenate(list(stream.chunks())), stream.labels, classes)


def test_the_files_are_those_of_the_configuration(description: dict[str, Any]) -> None:
    folder = ROOT / description["root"]
    assert sorted(description["sha256"]) == sorted(path.name for path in folder.glob("*.parquet"))
    for name, expected in description["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected


def test_the_files_are_small(description: dict[str, Any]) -> None:
    folder = ROOT / description["root"]
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) < 6_000_000


def test_there_are_600_training_and_400_test_images_of_each_of_ten_classes(splits: tuple[Split, Split]) -> None:
    for split, each in zip(splits, (600, 400), strict=True):
        assert len(split.classes) == 10
        assert np.bincount(split.labels).tolist() == [each] * 10
        assert split.images.shape == (10 * each, 28, 28, 1)


def test_no_test_image_is_a_training_image(splits: tuple[Split, Split]) -> None:
    train, test = ({image.tobytes() for image in split.images[:]} for split in splits)
    assert len(train & test) <= 1  # Fashion-MNIST itself repeats a few
    assert len(train) > 5990


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_the_script_that_made_it_makes_the_same_images(splits: tuple[Split, Split], tmp_path: Path) -> None:
    script = ROOT / "workflow/datasets/fashion-mini/make.py"
    subprocess.run([sys.executable, script, ORIGINALS, tmp_path], check=True, capture_output=True)
    for split, name in zip(splits, ("train", "test"), strict=True):
        made = pq.read_table(tmp_path / f"{name}.parquet")
        images = [decode(row["bytes"], name, (28, 28), "L") for row in made["image"].to_pylist()]
        assert np.array_equal(np.stack(images), split.images[:])
        assert made["label"].to_pylist() == split.labels.tolist()


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_the_full_set_is_read_from_its_package(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    dataset: Dataset = registry.validated("readers", without_augmentation(config["datasets"]["fashion-mnist"]))
    train, test, provenance = readers.read(dataset, ROOT, tmp_path)
    assert (len(train.labels), len(test.labels)) == (60_000, 10_000)
    assert provenance["root"] == str(ORIGINALS)
