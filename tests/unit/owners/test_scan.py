"""Every odd file of an owner's folder is named in one run, with what to do about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from unlearnable.errors import UserError
from unlearnable.owners.scan import held_out, scan


def write(path: Path, seed: int, size: tuple[int, int] = (12, 9), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, "png" if path.suffix != ".jpg" else "jpeg")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(6):
        write(tmp_path / "photos/cat" / f"{number}.png", number)
        write(tmp_path / "photos/dog" / f"my dog {number}'s $HOME.jpg", 100 + number)
    return tmp_path / "photos"


def truncated(path: Path) -> None:
    write(path, 50)
    path.write_bytes(path.read_bytes()[:-60])


def animated(path: Path) -> None:
    frames = [Image.new("L", (4, 4), level) for level in (0, 128, 255)]
    frames[0].save(path, "gif", save_all=True, append_images=frames[1:])


def sixteen_bits(path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(path, "png")


def large(path: Path) -> None:
    Image.new("1", (10_000, 7_000)).save(path, "png")


def enormous(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path, "png")


def twice(path: Path) -> None:
    shutil.copy(path.parent / "0.png", path)


ODD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "zero bytes": ("cat/a.png", lambda path: path.touch(), "empty (0 bytes); copy it again"),
    "truncated": ("cat/a.png", truncated, "truncated or damaged; copy it again"),
    "text": ("cat/a.txt", lambda path: path.write_text("x"), "not an image that can be read"),
    "HEIC": ("cat/a.HEIC", lambda path: path.write_text("x"), "HEIC and AVIF are not read; convert it to PNG or JPEG"),
    "raw": ("cat/a.nef", lambda path: path.write_text("x"), "raw files of cameras are not read; convert"),
    "TIFF": ("cat/a.png", lambda path: Image.new("L", (4, 4)).save(path, "tiff"), "TIFF is not read; convert"),
    "animation": ("cat/a.gif", animated, "an animation of 3 frames; save one"),
    "16 bits": ("cat/a.png", sixteen_bits, "16 bits a channel; save it with 8"),
    "70 megapixels": ("cat/a.png", large, "70,000,000 pixels, more than the 67,108,864"),
    "400 megapixels": ("cat/a.png", enormous, "too many pixels, more than the 67,108,864"),
    "duplicate": ("cat/a.png", twice, "the same content as cat/0.png; remove one"),
    "pipe": ("cat/a.png", os.mkfifo, "a pipe, a device or a socket, not a file; remove it"),
    "dead link": ("cat/a.png", lambda path: path.symlink_to("nowhere"), "a link to nothing"),
    "linked folder": ("owl", lambda path: path.symlink_to("cat"), "a link to a folder"),
    "nested folder": ("cat/2019/a.png", lambda path: write(path, 60), "a folder inside a class folder"),
    "loose image": ("a.jpg", lambda path: write(path, 60), "outside the class folders; move it"),
    "loose HEIC": ("a.heic", lambda path: path.write_text("x"), "outside the class folders; move it"),
    "empty class": ("owl", lambda path: path.mkdir(), "a class without images; add some, or remove"),
    "line end": ("cat/a\nb.png", lambda path: write(path, 60), "end of a line or another control character; rename"),
    "not UTF-8": (os.fsdecode(b"cat/a\xff.png"), lambda path: write(path, 60), "not UTF-8; rename"),
}


@pytest.mark.parametrize("odd", ODD)
def test_each_fault_is_named_with_what_to_do(photos: Path, odd: str) -> None:
    name, make, said = ODD[odd]
    path = photos / name
    make(path)
    found = scan(photos)
    assert len(found.images) == 12
    (fault,) = found.faults
    assert fault.file == ("cat/2019" if odd == "nested folder" else name)
    assert said in fault.reason


def test_all_faults_are_named_together(photos: Path) -> None:
    (photos / "dog/b.png").touch()
    (photos / "cat/a.png").touch()
    (photos / "loose.png").touch()
    assert [fault.file for fault in scan(photos).faults] == ["cat/a.png", "dog/b.png", "loose.png"]


def test_accents_stored_in_two_ways(photos: Path) -> None:
    write(photos / "cat/caf\u00e9.png", 60)
    write(photos / "cat/cafe\u0301.png", 61)
    (fault,) = scan(photos).faults
    assert "accents stored differently" in fault.reason


def test_what_systems_leave_is_ignored_and_listed(photos: Path) -> None:
    (photos / "cat/@eaDir").mkdir()
    for name in (".DS_Store", "cat/Thumbs.db", "cat/._0.png", "LICENSE.txt"):
        (photos / name).write_text("x")
    found = scan(photos)
    assert not found.faults
    assert set(found.ignored) == {".DS_Store", "cat/Thumbs.db", "cat/._0.png", "cat/@eaDir", "LICENSE.txt"}


def test_a_flat_folder_is_refused_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 0)
    with pytest.raises(UserError, match="every image needs a label: put the images of each class"):
        scan(tmp_path)


def test_one_class_is_too_few(tmp_path: Path) -> None:
    write(tmp_path / "cat/a.png", 0)
    with pytest.raises(UserError, match="1 class with images; at least two"):
        scan(tmp_path)


def test_a_folder_for_measuring(photos: Path) -> None:
    write(photos / "test/cat/t.png", 70)
    found = scan(photos)
    assert [each.entry.file for each in found.images if each.entry.test] == ["test/cat/t.png"]
    assert found.classes == ["cat", "dog"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_index_beside_the_images(tmp_path: Path, kind: str) -> None:
    for number in range(4):
        write(tmp_path / f"all/{number}.png", number)
    table = pd.DataFrame({"file": [f"all/{n}.png" for n in (3, 0, 2, 1, 9)], "label": ["b", "a", "a", "b", "a"]})
    index = tmp_path / f"labels.{kind}"
    table.to_csv(index, index=False) if kind == "csv" else table.to_parquet(index)
    for given in (tmp_path, index):
        found = scan(given)
        assert [each.entry.file for each in found.images] == ["all/3.png", "all/0.png", "all/2.png", "all/1.png"]
        assert [(fault.file, fault.reason[:12]) for fault in found.faults] == [("all/9.png", "no such file")]


def test_an_index_without_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("file\na.png\n")
    with pytest.raises(UserError, match="no column label"):
        scan(tmp_path)


def test_images_of_another_release_are_named(photos: Path) -> None:
    first = scan(photos).images[0]
    found = scan(photos, {first.image.sha256: "summer"})
    assert [fault.file for fault in found.faults] == [first.entry.file]
    assert "in the release summer already" in found.faults[0].reason


def test_held_out_images_follow_from_content_alone(photos: Path) -> None:
    before = scan(photos)
    names = held_out(before.images)
    assert len(names) == 2  # a fifth of six, of either class
    hashes = {each.image.sha256 for each in before.images if each.entry.file in names}
    for path in list((photos / "cat").iterdir()):
        path.rename(path.with_name(f"renamed {path.name}"))
    write(photos / "dog/more.png", 80)
    after = scan(photos)
    again = {each.image.sha256 for each in after.images if each.entry.file in held_out(after.images)}
    assert len(hashes & again) >= 1
    assert {each.image.sha256 for each in after.images if "cat" in each.entry.file} & hashes <= again
