"""The private folder of a release: who sees it, what it holds, and when a name may be used again."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest
import yaml

from unlearnable.errors import UserError
from unlearnable.owners import presets
from unlearnable.owners.image_file import ImageFile
from unlearnable.owners.project import Project, complete, protected_elsewhere, require_same, slug
from unlearnable.owners.scan import Found, Scan
from unlearnable.owners.structure import Entry
from unlearnable.tools.plan.reading import read_study


def scanned(*names: str, mode: str = "RGB") -> Scan:
    images = [ImageFile(f"{place:064x}", 1000, 1000, mode, "JPEG") for place, _ in enumerate(names)]
    entries = [Entry(name, name.split("/")[-2], name.startswith("test/")) for name in names]
    return Scan(Path("/photos"), [Found(entry, image) for entry, image in zip(entries, images, strict=True)])


MANY = [f"{label}/{number}.jpg" for label in ("cat", "dog") for number in range(6)]


def made(tmp_path: Path, scan: Scan, name: str = "mine") -> Project:
    project = Project(tmp_path, name)
    project.create(scan, complete({"seed": 5}), presets.DEFAULT, "2026-01-01")
    return project


def test_only_the_owner_sees_the_private_folder(tmp_path: Path) -> None:
    project = made(tmp_path, scanned(*MANY))
    assert stat.S_IMODE(project.private.stat().st_mode) == 0o700


def test_every_image_is_protected_and_one_of_each_class_fills_the_test_set(tmp_path: Path) -> None:
    rows = list(csv.DictReader((made(tmp_path, scanned(*MANY)).private / "index.csv").open()))
    assert [row["split"] for row in rows] == (["both"] + ["train"] * 5) * 2


def test_images_for_measuring_are_not_protected(tmp_path: Path) -> None:
    project = made(tmp_path, scanned(*MANY, "test/cat/t.jpg", "test/dog/t.jpg"))
    rows = list(csv.DictReader((project.private / "index.csv").open()))
    assert {row["file"] for row in rows if row["split"] == "test"} == {"test/cat/t.jpg", "test/dog/t.jpg"}
    assert (project.private / "held_out.csv").read_text() == "file\ntest/cat/t.jpg\ntest/dog/t.jpg\n"


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_the_study_is_a_valid_one(tmp_path: Path, mode: str, channels: int) -> None:
    study = read_study(made(tmp_path, scanned(*MANY, mode=mode)).study)
    assert study.layers.dataset("mine").channels == channels
    (noise,) = study.release_noises()
    assert (noise.rho_u, noise.rho_a, noise.seed) == (8, 4, 5)
    assert study.source_settings(noise).training.batch_size == 12


def test_the_seed_is_random_unless_given() -> None:
    assert complete({})["seed"] != complete({})["seed"]


def test_a_name_is_used_again_only_for_the_same(tmp_path: Path) -> None:
    project = made(tmp_path, scanned(*MANY))
    stored = project.stored()
    assert stored is not None
    require_same(project, stored, scanned(*MANY), {"strength": None, "seed": 5})
    with pytest.raises(UserError, match="mine was made with --strength medium; choose another --name"):
        require_same(project, stored, scanned(*MANY), {"strength": "high"})
    with pytest.raises(UserError, match=r"from other images \(1 added, 0 removed, 0 changed\)"):
        require_same(project, stored, scanned(*MANY, "dog/9.jpg"), {})


def test_what_other_releases_protect_is_known(tmp_path: Path) -> None:
    made(tmp_path, scanned(*MANY), "first")
    assert set(protected_elsewhere(tmp_path, "second").values()) == {"first"}
    assert not protected_elsewhere(tmp_path, "first")


def test_names_of_releases() -> None:
    assert slug("My Photos (2024) été") == "my-photos-2024-ete"
    with pytest.raises(UserError, match="give one with --name"):
        slug("写真")


def test_minutes_choose_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "estimated", lambda *_: [100.0 * 2**step for step in range(len(presets.PRESETS))])
    assert presets.chosen(scanned(*MANY), complete({})) == presets.DEFAULT
    for minutes, preset in ((1, 0), (2, 0), (7, 2), (1000, -1)):
        assert presets.chosen(scanned(*MANY), complete({"minutes": minutes})) == presets.PRESETS[preset]


def test_studies_of_all_presets_are_valid(tmp_path: Path) -> None:
    for training in presets.PRESETS:
        project = Project(tmp_path, f"p{training['image_size']}-{training['steps']}")
        project.create(scanned(*MANY), complete({}), training, "")
        loaded = yaml.safe_load(project.study.read_text())
        assert read_study(project.study).release_noises()[0].dataset == next(iter(loaded["datasets"]))
