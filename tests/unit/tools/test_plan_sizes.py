"""How many images a dataset has before it is stored, and the bytes that jobs write."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unlearnable import registry
from unlearnable.datasets import shards
from unlearnable.datasets.settings import Dataset
from unlearnable.datasets.size import Size
from unlearnable.datasets.split import Split
from unlearnable.networks.build import create, save_weights
from unlearnable.networks.facts import weight_bytes
from unlearnable.stages.perturbed_dataset import publish
from unlearnable.stages.settings.noise import NoiseSettings
from unlearnable.study.cells import Noise, Perturbed
from unlearnable.study.study import Study
from unlearnable.tools.plan import report, space
from unlearnable.tools.plan.reading import read_study
from unlearnable.tools.plan.sizes import size_of

SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def study() -> Study:
    """The default study, which holds the paper's experiments."""
    return read_study()


def noise_settings(study: Study, cell: Noise) -> NoiseSettings:
    return study.noise_settings(cell)


def described(**keys: Any) -> Dataset:
    made: Dataset = registry.validated("readers", {"image_size": 8, "classes": ["cat", "dog", "owl"]} | keys)
    return made


@pytest.mark.parametrize(
    ("keys", "train", "test"),
    [
        ({"kind": "cifar", "variant": "cifar10"}, 50_000, 10_000),
        ({"kind": "svhn"}, 73_257, 26_032),
        ({"kind": "tiny-imagenet"}, 100_000, 10_000),
        ({"kind": "mnist", "variant": "MNIST", "root": "not-there"}, 60_000, 10_000),
        ({"kind": "imagenet", "root": "not-there"}, 3 * 1281, 150),
        ({"kind": "cifar", "variant": "cifar10", "validation": 5000}, 45_000, 5000),
        ({"kind": "svhn", "train_images": 300, "test_images": 10**6}, 300, 26_032),
        ({"kind": "cifar", "variant": "cifar10", "sha256": "0" * 64}, None, None),
    ],
)
def test_official_sizes(tmp_path: Path, keys: dict[str, Any], train: int | None, test: int | None) -> None:
    found = size_of(described(**keys), tmp_path, None)
    assert (found.train, found.test) == (train, test)


def test_rows_of_parquet_files_are_counted(
    tmp_path: Path, write_parquet_images: Callable[..., None], encode_png: Callable[..., bytes]
) -> None:
    image = encode_png(np.zeros((8, 8, 3), np.uint8))
    for name, rows in (("train-00000-of-00002", 4), ("train-00001-of-00002", 3), ("test", 2)):
        write_parquet_images(tmp_path / f"{name}.parquet", [image] * rows, [0] * rows)
    found = size_of(described(kind="parquet", root=str(tmp_path)), tmp_path, None)
    assert found == Size(7, 2, "counted on disk")


def test_parquet_files_that_would_be_refused_are_not_counted(
    tmp_path: Path, write_parquet_images: Callable[..., None], encode_png: Callable[..., bytes]
) -> None:
    for name in ("train", "train_old", "test"):
        write_parquet_images(tmp_path / f"{name}.parquet", [encode_png(np.zeros((8, 8, 3), np.uint8))], [0])
    found = size_of(described(kind="parquet", root=str(tmp_path)), tmp_path, None)
    assert (found.train, found.test) == (None, None)
    assert "train.parquet, train_old.parquet are more than one set" in found.source


def test_sizes_are_found_without_torch() -> None:
    code = """
import sys
from unlearnable import registry
from unlearnable.tools.plan import sizes
for kind in registry.available("readers"):
    assert registry.load_module("readers", kind).size_hint
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_reader_that_cannot_tell_leaves_the_size_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar = described(kind="cifar", variant="cifar10")
    monkeypatch.delattr(registry.load_module("readers", "cifar"), "size_hint")
    found = size_of(cifar, tmp_path, None)
    assert (found.train, found.test) == (None, None)
    assert "kind cifar" in found.source


def test_files_in_folders_are_counted_and_not_decoded(tmp_path: Path) -> None:
    for label in ("cat", "dog", "owl"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(10):
            (tmp_path / "images" / label / f"{number}.png").write_bytes(b"not an image")
    found = size_of(described(kind="folder", root="images", test_share=0.2), tmp_path, None)
    assert found == Size(24, 6, "counted on disk")


def test_labels_of_idx_files_are_counted(tmp_path: Path) -> None:
    for name, rows in (("train", 5), ("t10k", 2)):
        header = bytes([0, 0, 8, 1]) + rows.to_bytes(4, "big")
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + bytes(rows)))
    found = size_of(described(kind="mnist", variant="MNIST", root="."), tmp_path, None)
    assert found == Size(5, 2, "counted on disk")


def test_a_stored_dataset_tells_its_size_whatever_its_files_are(
    tmp_path: Path, store: Callable[..., Path], make_split: Callable[..., Split]
) -> None:
    manifest = store(make_split(31)) / "manifest.json"
    assert size_of(described(kind="parquet", root="gone"), tmp_path, manifest) == Size(31, 31, "as stored")


@pytest.mark.parametrize("keys", [{"kind": "parquet", "root": "gone"}, {"kind": "folder", "root": "gone"}])
def test_a_size_that_cannot_be_known_is_none_and_says_why(tmp_path: Path, keys: dict[str, Any]) -> None:
    found = size_of(described(**keys), tmp_path, None)
    assert (found.train, found.test) == (None, None)
    assert "gone" in found.source
    (text,) = [line for line in report.of_passes([], {"d": found}).splitlines() if line.startswith("d: ")]
    assert "run `snakemake datasets` first" in text
    assert "NOT in the sums" in text


# ---- bytes


@pytest.mark.parametrize(("network", "channels"), [("small-cnn", 1), ("resnet18", 3)])
def test_weights_take_the_bytes_of_their_file(tmp_path: Path, network: str, channels: int) -> None:
    import torch

    save_weights(create(network, channels, 10, 32, 0, torch.device("cpu")), tmp_path / "model.safetensors")
    written = (tmp_path / "model.safetensors").stat().st_size
    assert 0 <= written - weight_bytes(network, channels, 10, "cifar") < 0.25 * written  # the file's header


def test_stored_images_take_the_bytes_of_their_files(tmp_path: Path, make_split: Callable[..., Split]) -> None:
    shards.write(tmp_path, make_split(100, channels=3), 40)
    written = [file.stat().st_size for file in tmp_path.glob("*.npy")]
    assert sum(written) - 128 * len(written) == space.of_images(100, (3, 8, 8))


@pytest.mark.parametrize(
    ("method", "rho_u", "bytes_a_value"), [("em", 127, 1), ("em", 128, 2), ("lsp", 0, 2), ("ops", 0, 2), ("cuda", 0, 2)]
)
def test_noise_takes_two_bytes_where_it_may_be_larger_than_one_holds(
    study: Study, method: str, rho_u: int, bytes_a_value: int
) -> None:
    bound = noise_settings(study, Noise("cifar10", method, rho_u, 0, 0)).bound
    assert space.of_noise(10, SHAPE, bound) == 10 * 3072 * bytes_a_value


def test_the_share_of_png_is_measured_on_what_is_published(
    tmp_path: Path, store: Callable[..., Path], make_split: Callable[..., Split], study: Study
) -> None:
    assert space.png_share([tmp_path / "nothing"]) is None
    folder = tmp_path / "p100"
    config = study.perturbed_settings(Perturbed("fashion-mini", "clean", 0, 0, 0, 0))
    outputs = (folder / "parquet", folder / "shards", folder / "manifest.json", folder / "metrics.json")
    publish(config, store(make_split(50)), None, *outputs)
    share = space.png_share([folder])
    assert share is not None
    expected = space.of_published(50, (1, 8, 8), share)
    written = sum(file.stat().st_size for part in outputs[:2] for file in part.iterdir())
    assert expected == pytest.approx(written, rel=0.05)


def test_free_space_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert space.free(tmp_path / "not" / "there" / "yet") == pytest.approx(space.free(tmp_path), rel=0.01)
