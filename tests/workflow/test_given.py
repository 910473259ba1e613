"""A noise that somebody else made, as an array and as protected images, in every stage of a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unlearnable.datasets.encoded import decode
from unlearnable.datasets.protected import apply_noise
from unlearnable.datasets.protected_parquet import write_parquet
from unlearnable.datasets.split import Array, Split
from unlearnable.noises.given.place import checksum

from .pipeline import CLASSES, SIZE, Config, Project, laid_over, random_images

ROWS, RADIUS = 64, 16
NAMES = ("their-noise", "their-images")


def noise(seed: int) -> Array:
    drawn: Array = np.random.default_rng(seed).integers(-RADIUS, RADIUS + 1, (ROWS, SIZE, SIZE, 1), np.int8)
    return drawn


def protected() -> Array:
    """The images of the tiny study with that noise."""
    clean = [decode(png, "", (SIZE, SIZE), "L") for png in random_images(ROWS, seed=1)]
    return apply_noise(np.stack(clean), noise(0), np.ones(ROWS, bool))


def described(path: Path, content: str) -> Config:
    keys = {"path": str(path), "sha256": checksum(path), "content": content, "unit": "levels", "radius": RADIUS}
    return {"algorithm": "given"} | keys


@pytest.fixture(scope="module")
def judged(repo: Path, tiny: Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study of one noise that was handed out in two forms, run to the end."""
    folder = tmp_path_factory.mktemp("judged")
    np.save(folder / "noise.npy", noise(0))
    split = Split(protected(), np.arange(ROWS) % len(CLASSES), CLASSES)
    write_parquet(folder / "images", split, np.ones(ROWS, bool), 40)
    files = (folder / "noise.npy", "noise"), (folder / "images", "images")
    change = {
        "methods": {name: described(*file) for name, file in zip(NAMES, files, strict=True)},
        "experiments": {
            "tiny": {
                "noises": [{"method": "clean"}, *({"method": name} for name in NAMES)],
                "protected": [100],
                "clean_rest": False,
                "victims": {"networks": ["small-cnn"], "radii": [0], "countermeasures": ["jpeg10"]},
                "products": ["accuracy-table", "comparison-table", "ranking-table"],
            }
        },
    }
    study = Project.new(repo, folder / "study", laid_over(tiny, change))
    study.run("all")
    return study


def test_a_given_noise_is_what_the_protected_images_carry_and_what_every_table_judges(judged: Project) -> None:
    accuracies = []
    for name in NAMES:
        of_noise, of_images, of_victim = (
            judged.work / f"results/{stage}/tiny/{name}/u0-a0/{rest}"
            for stage, rest in (("noise", "s0"), ("perturbed", "s0/p100"), ("victim", "p100/small-cnn/jpeg10/r0/s0"))
        )
        shards = [np.load(path) for path in sorted((of_images / "shards").glob("images-*.npy"))]
        assert np.array_equal(np.concatenate(shards), protected())
        assert judged.json(f"{of_noise}/metrics.json")["passes"] == 0
        stated = {"norm": "linf", "radius": RADIUS, "unit": "1/255", "largest": float(RADIUS)}
        assert judged.json(f"{of_images}/manifest.json")["bound"] == stated
        accuracies.append(judged.json(f"{of_victim}/metrics.json")["test_accuracy"])
    assert accuracies[0] == accuracies[1]
    for table in ("accuracy", "comparison", "ranking"):
        text = judged.read(f"results/tables/tiny/{table}.md").upper()
        assert {name.upper() in text for name in NAMES} == {True}, table


def test_another_file_is_another_noise_once_the_study_states_it(judged: Project, tmp_path: Path) -> None:
    assert "Nothing to be done" in judged.run("-n")
    other, before = tmp_path / "noise.npy", judged.config["methods"]["their-noise"]
    np.save(other, noise(1))
    moved = {"methods": {"their-noise": {**before, "path": str(other)}}}
    elsewhere = judged.copied(tmp_path / "copy")
    refused = elsewhere.having(moved, tmp_path).run("noises", ok=False)
    assert f"{other}: its sha256 is {checksum(other)}, but the study states {before['sha256']}" in refused
    found = judged.having({"methods": {"their-noise": described(other, "noise")}}, tmp_path).job_counts()
    assert found == {"noise": 1, "merge_noise": 1, "perturbed_dataset": 1, "victim": 1, "table": 3}


def test_a_study_that_states_no_checksum_is_told_which_one(judged: Project, tmp_path: Path) -> None:
    printed = judged.having({"methods": {"their-images": {"sha256": None}}}, tmp_path).run("-n", ok=False)
    sha256 = judged.config["methods"]["their-images"]["sha256"]
    said = f"methods.their-images.path: does not fit 'tiny': its checksum must be stated, sha256: {sha256} for the file"
    assert said in printed
    assert f"{tmp_path / 'changed.yaml'}:" in printed
