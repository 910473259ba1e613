"""A slice of the miniature of the paper, for real: noises are made, merged, applied and drawn, and some victims learn.

The noises are those that the tiny study of the other tests has not.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from .pipeline import ROOT, Project, require_bound

RADIUS = {"random": 8, "em-shuffled": 8, "em-augmented": 8, "em-classwise": 8, "tap-fu2022": 8, "ntga": 8}
OTHERS = ("lsp", "ar", "cuda")


@pytest.fixture(scope="module")
def mini(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The noise sheet, and one victim for each kind of counter-measure, on a quarter of the images."""
    folder = tmp_path_factory.mktemp("mini")
    config = yaml.safe_load((ROOT / "config/studies/paper-mini.yaml").read_text())
    config["datasets"]["mini"] |= {"train_images": 250, "test_images": 100}
    config["run"] = ["mini-noise-sheet", "mini-slice"]
    sheet = config["experiments"]["mini-noise-sheet"]
    sheet["noises"] = [noise for noise in sheet["noises"] if noise["method"] in (*RADIUS, *OTHERS)]
    config["experiments"]["mini-slice"] = {
        "datasets": ["mini"],
        "noises": [{"method": "clean"}, {"method": "cuda"}],
        "victims": [
            {"networks": ["small-cnn"], "radii": [0], "countermeasures": ["bilateral9", "mixup", "op"]},
            {"networks": ["small-cnn"], "radii": [4], "countermeasures": ["trades"]},
        ],
        "products": ["ranking-table", "heat-map", "accuracy-table", "cost-table"],
    }
    shutil.copytree(repo / "workflow/datasets", folder / "data")  # a root that does not depend on the copy's place
    config["datasets"]["mini"]["root"] = str(folder / "data/fashion-mini")
    project = Project.new(repo, folder / "study", config)
    project.run("all")
    return project


@pytest.mark.parametrize("method", [*RADIUS, *OTHERS])
def test_each_of_these_noises_is_there_and_keeps_to_its_bound(mini: Project, method: str) -> None:
    (folder,) = (mini.work / f"results/perturbed/mini/{method}").glob("u*/s0/p100")
    manifest = mini.json(str(folder.relative_to(mini.work) / "manifest.json"))
    clean = np.load(mini.work / "results/dataset/mini/train/images-00000.npy")
    change = np.load(folder / "shards/images-00000.npy").astype(np.int16) - clean
    assert (change != 0).any(axis=(1, 2, 3)).mean() > 0.9
    stated = require_bound(manifest["bound"], change)
    if method in RADIUS:
        assert stated == {"norm": "linf", "radius": RADIUS[method], "unit": "1/255"}


def test_methods_that_need_none_have_no_source_model(mini: Project) -> None:
    trained = {path.name for path in (mini.work / "results/source_model/mini").iterdir()}
    assert trained == {"clean", "em", "em-augmented", "em-classwise"}  # clean is TAP's, em that of its shuffled noise


def test_a_shuffled_noise_is_the_others_in_another_order_and_the_manifests_say_that_it_is_a_control(
    mini: Project,
) -> None:
    noises = {method: f"results/noise/mini/{method}/u8-a0/s0" for method in ("em", "em-shuffled")}
    em, shuffled = (np.load(mini.work / folder / "noise.npy") for folder in noises.values())
    assert sorted(image.tobytes() for image in em) == sorted(image.tobytes() for image in shuffled)
    labels = np.load(mini.work / "results/dataset/mini/train/labels.npy")
    label_of = {image.tobytes(): label for image, label in zip(em, labels, strict=True)}
    assert len(label_of) == len(em)
    assert all(label_of[image.tobytes()] != label for image, label in zip(shuffled, labels, strict=True))
    for method, control in (("random", True), ("em-shuffled", True), ("em-augmented", None)):
        for folder in (f"results/noise/mini/{method}/u8-a0/s0", f"results/perturbed/mini/{method}/u8-a0/s0/p100"):
            assert mini.json(f"{folder}/manifest.json").get("control") is control


def test_the_noise_sheet_and_the_ranking_show_them(mini: Project) -> None:
    assert (mini.work / "results/figures/mini-noise-sheet/noise-sheet.png").stat().st_size > 10_000
    assert (mini.work / "results/figures/mini-slice/heat-map.png").stat().st_size > 5_000
    ranking = pd.read_csv(mini.work / "results/tables/mini-slice/ranking.csv")
    assert set(ranking["noise"]) == {"clean", "CUDA"}


def test_no_published_number_stands_in_a_miniature(mini: Project) -> None:
    accuracies = pd.read_csv(mini.work / "results/tables/mini-slice/accuracy.csv")
    assert accuracies["published"].isna().all()
    assert "published" not in mini.read("results/tables/mini-slice/accuracy.md").partition("|")[2]
    assert "published" not in mini.read("results/tables/mini-slice/cost.csv")
