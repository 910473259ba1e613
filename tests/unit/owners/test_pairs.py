"""Every released image finds its original, and an audit tests on originals whose released files it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unlearnable.errors import UserError
from unlearnable.owners.changes import both, measured
from unlearnable.owners.pairs import audited, paired
from unlearnable.owners.scan import held_out, scan

Rename = Callable[[str, int], str]


def write(path: Path, seed: int, noise: int = 0, side: int = 24) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(seed)
    coarse = Image.fromarray(draws.integers(40, 216, (3, 3, 3), np.uint8)).resize((side, side))
    signs = np.random.default_rng(1000 + seed).choice([-noise, noise], (side, side, 3))
    Image.fromarray(np.clip(np.asarray(coarse) + signs, 0, 255).astype(np.uint8)).save(path, "png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, first in (("cat", 0), ("dog", 100)):
        for number in range(6):
            write(tmp_path / f"photos/{label}/{number}.jpg", first + number)
    return tmp_path / "photos"


def protected(folder: Path, rename: Rename, side: int = 24) -> Path:
    for label, first in (("cat", 0), ("dog", 100)):
        for number in range(6):
            write(folder / rename(f"{label}/{number}.jpg", number), first + number, 8, side)
    return folder


@pytest.mark.parametrize(
    "rename",
    [
        lambda name, number: name,
        lambda name, number: f"{name}.png",
        lambda name, number: name.replace(".jpg", ".webp"),
        lambda name, number: name.replace(f"{number}.jpg", f"{(number * 5 + 1) % 6:06d}.png"),
    ],
    ids=["the same name", "with .png", "another suffix", "numbers of another tool"],
)
def test_originals_are_found(photos: Path, tmp_path: Path, rename: Rename) -> None:
    release = scan(protected(tmp_path / "release", rename))
    pairs, left_out = paired(scan(photos), release)
    assert not left_out
    assert len(pairs) == 12
    for pair in pairs:
        number = int(Path(pair.original.entry.file).stem)
        assert pair.released.entry.file == rename(pair.original.entry.file, number)


def test_a_smaller_release_is_compared_at_its_size(photos: Path, tmp_path: Path) -> None:
    originals, release = scan(photos), scan(protected(tmp_path / "release", lambda name, _: name, side=12))
    pairs, _ = paired(originals, release)
    after, before = both(pairs[0], release.root, originals.root)
    assert after.shape == before.shape == (12, 12, 3)


def test_files_without_a_partner_are_named(photos: Path, tmp_path: Path) -> None:
    release = protected(tmp_path / "release", lambda name, _: name)
    (release / "cat/0.jpg").rename(release / "dog/0x.jpg")
    write(release / "cat/1.png", 1, 8)
    write(release / "cat/1.png", 500)
    (release / "cat/zero.jpg").touch()
    said = {fault.file: fault.reason for fault in audited(scan(photos), scan(release)).left_out}
    assert said["originals/cat/0.jpg"] == "not in the release"
    assert said["released/dog/0x.jpg"] == "no original has this path, and none of its class looks like it"
    assert said["released/cat/1.png"].startswith("a second version of cat/1.jpg")
    assert said["released/cat/zero.jpg"].startswith("empty (0 bytes)")
    assert len(said) == 4


def test_another_label_is_named(photos: Path, tmp_path: Path) -> None:
    release = protected(tmp_path / "release", lambda name, _: name)
    rows = [f"{label}/{number}.jpg,cat" for label in ("cat", "dog") for number in range(6)]
    (release / "labels.csv").write_text("\n".join(["file,label", *rows, ""]))
    write(release / "x.jpg", 900)
    with (release / "labels.csv").open("a") as file:
        file.write("x.jpg,dog\n")
    _, left_out = paired(scan(photos), scan(release))
    assert "its label is 'cat', and that of its original 'dog'" in {fault.reason for fault in left_out}


def test_held_out_images_are_those_of_the_release_and_not_trained_on(photos: Path, tmp_path: Path) -> None:
    originals = scan(photos)
    found = audited(originals, scan(protected(tmp_path / "release", lambda name, _: f"{name}.png")))
    tested = {each.entry.file for each in found.test}
    assert tested == set(held_out(originals.images))
    assert tested & {pair.original.entry.file for pair in found.train} == set()
    assert (len(found.test), len(found.train), found.classes) == (2, 10, ["cat", "dog"])


def test_an_owners_test_images_are_used(photos: Path, tmp_path: Path) -> None:
    release = protected(tmp_path / "release", lambda name, _: name)
    for label, seed in (("cat", 300), ("dog", 301)):
        write(photos / f"test/{label}/t.jpg", seed)
    found = audited(scan(photos), scan(release))
    assert {each.entry.file for each in found.test} == {"test/cat/t.jpg", "test/dog/t.jpg"}
    assert len(found.train) == 12


def test_small_classes_are_left_out_and_named(photos: Path, tmp_path: Path) -> None:
    release = protected(tmp_path / "release", lambda name, _: name)
    for number in range(4):
        write(photos / f"owl/{number}.jpg", 200 + number)
        write(release / f"owl/{number}.jpg", 200 + number, 8)
    found = audited(scan(photos), scan(release))
    assert found.classes == ["cat", "dog"]
    (fault,) = found.left_out
    assert (fault.file, fault.reason[:35]) == ("class owl", "has fewer than 5 released images, s")
    for path in list((release / "dog").iterdir())[:2]:
        path.unlink()
    with pytest.raises(UserError, match="1 classes have images to train and to test on"):
        audited(scan(photos), scan(release))


def test_changes_are_measured(photos: Path, tmp_path: Path) -> None:
    originals, release = scan(photos), scan(protected(tmp_path / "release", lambda name, _: name))
    changes = measured(paired(originals, release)[0], release.root, originals.root)
    assert (changes.largest, changes.radius, changes.images) == (8, 8, 10)
    unchanged = measured(paired(originals, originals)[0], photos, photos)
    assert (unchanged.largest, unchanged.radius) == (0, 0)
