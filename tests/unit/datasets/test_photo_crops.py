"""The colour images that come with the repository."""

from __future__ import annotations

import hashlib
import importlib.util
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from unlearnable import registry
from unlearnable.datasets import read as readers
from unlearnable.datasets.split import Split

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "config/datasets.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = config["datasets"]["photo-crops"]
    return {key: value for key, value in found.items() if key != "augmentation"}


@pytest.fixture(scope="module")
def splits(description: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Split, Split]:
    dataset = registry.validated("readers", description)
    train, test, _ = readers.read(dataset, ROOT, tmp_path_factory.mktemp("downloads"))
    first, second = (Split(np.concatenate(list(s.chunks())), s.labels, dataset.classes) for s in (train, test))
    return first, second


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", ROOT / "workflow/datasets/photo-crops/crop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_those_of_the_configuration_and_small(description: dict[str, Any]) -> None:
    folder = ROOT / description["root"]
    assert sorted(description["sha256"]) == sorted(path.name for path in folder.glob("*.parquet"))
    for name, expected in description["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) < 12_000_000


def test_there_are_450_training_and_150_test_images_of_each_of_ten_classes(splits: tuple[Split, Split]) -> None:
    for split, each in zip(splits, (450, 150), strict=True):
        assert np.bincount(split.labels).tolist() == [each] * 10
        assert split.images.shape == (10 * each, 32, 32, 3)


def test_no_test_image_is_a_training_image(splits: tuple[Split, Split]) -> None:
    train, test = ({image.tobytes() for image in split.images[:]} for split in splits)
    assert not train & test


def test_every_channel_has_the_same_mean_and_deviation(splits: tuple[Split, Split]) -> None:
    """But for the values that were clipped, and the channels that hardly vary."""
    for split in splits:
        images = split.images[:]
        assert abs(np.median(images.mean((1, 2))) - 128) < 1
        assert abs(np.median(images.std((1, 2))) - 48) < 2


def test_cells_of_training_and_test_do_not_meet(program: ModuleType) -> None:
    found = program.cells(451, 300, np.random.default_rng(0))
    every = [*found["train"], *found["test"]]
    assert sum((right - left) * (lower - upper) for left, upper, right, lower in every) == 451 * 300
    for one, other in combinations(every, 2):
        assert max(one[0], other[0]) >= min(one[2], other[2]) or max(one[1], other[1]) >= min(one[3], other[3])
    assert len(found["test"]) == len(every) // 4


def test_a_crop_lies_within_one_cell(program: ModuleType) -> None:
    colours = np.zeros((100, 200, 3), np.uint8)
    colours[:, :100] = np.random.default_rng(0).integers(0, 100, (100, 100, 3))
    colours[:, 100:] = 255  # a crop that reaches into this half is brighter than any in the other
    photograph = Image.fromarray(colours)
    draws = np.random.default_rng(1)
    assert {program.crop(photograph, [(0, 0, 100, 100)], draws).shape for _ in range(20)} == {(32, 32, 3)}
    boxes: list[tuple[int, int, int, int]] = []

    class Watched:
        def resize(self, size: tuple[int, int], how: Image.Resampling, box: tuple[int, int, int, int]) -> Image.Image:
            boxes.append(box)
            return photograph.resize(size, how, box)

    for _ in range(50):
        program.crop(Watched(), [(0, 0, 100, 100)], draws)
    assert all(0 <= left < right <= 100 and 0 <= upper < lower <= 100 for left, upper, right, lower in boxes)
    assert {24, 64} & {right - left for left, _, right, _ in boxes}
