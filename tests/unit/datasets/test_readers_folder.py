"""Folders of image files: one folder per class, and files that do not belong there."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unlearnable.errors import UserError

from ..irregular import KINDS, irregular

CLASSES = ["cat", "dog", "owl"]
SUFFIXES = (".png", ".jpg", ".JPEG")


def picture(grey: int, size: tuple[int, int] = (8, 8), form: str = "png") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(buffer, form)
    return buffer.getvalue()


def put(path: Path, content: bytes = picture(0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def fill(folder: Path, rows: int, first: int = 0, size: tuple[int, int] = (8, 8)) -> None:
    """Image files of every kind in class folders; their names say the row, their level is ``10 * row + label``."""
    for label, name in enumerate(CLASSES):
        for row in range(rows):
            suffix = SUFFIXES[row % 3]
            form = "png" if suffix == ".png" else "jpeg"
            put(folder / name / f"{row:03d}{suffix}", picture(first + 10 * row + label, size, form))


@pytest.fixture
def read(read_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """``read(**changes)``: read ``set``."""

    def reading(**changes: Any) -> Any:
        return read_dataset(**({"kind": "folder", "root": "set"} | changes))

    return reading


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """``set`` with train and test."""
    fill(tmp_path / "set" / "train", 5)
    fill(tmp_path / "set" / "test", 2, first=100)
    return tmp_path / "set"


def levels(split: Any) -> list[int]:
    """The grey level of every image."""
    found: list[int] = split.images[:, 0, 0, 0].tolist()
    return found


@pytest.mark.usefixtures("halves")
def test_images_come_by_class_and_name(read: Callable[..., Any]) -> None:
    train, test, provenance = read()
    assert train.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert levels(train) == [10 * row + label for label in range(3) for row in range(5)]
    assert levels(test) == [100, 110, 101, 111, 102, 112]
    assert provenance == {"kind": "folder", "root": "set"}


@pytest.mark.usefixtures("halves")
def test_labels_follow_the_order_of_the_classes(read: Callable[..., Any]) -> None:
    train, _, _ = read(classes=["owl", "cat", "dog"])
    assert levels(train)[:5] == [2, 12, 22, 32, 42]


@pytest.mark.usefixtures("halves")
def test_what_file_managers_leave_behind_is_no_image(read: Callable[..., Any], halves: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        put(halves / "train" / "cat" / name, b"?")
        put(halves / "train" / name, b"?")
    (halves / "train" / ".cache").mkdir()
    assert len(read()[0].labels) == 15


@pytest.mark.usefixtures("halves")
def test_files_and_folders_of_other_kinds_may_lie_beside_the_halves(read: Callable[..., Any], halves: Path) -> None:
    put(halves / "LICENSE", b"?")
    put(halves / "train" / "README.md", b"?")
    put(halves / "scripts" / "make.py", b"?")
    assert len(read()[0].labels) == 15


def test_without_halves_a_balanced_share_becomes_the_test_set(read: Callable[..., Any], tmp_path: Path) -> None:
    fill(tmp_path / "set", 10)
    train, test, provenance = read()
    assert np.bincount(test.labels).tolist() == [2, 2, 2]
    assert sorted(levels(train) + levels(test)) == sorted(10 * row + label for label in range(3) for row in range(10))
    assert levels(train) == sorted(levels(train), key=lambda level: (level % 10, level))
    assert provenance["test_share"] == 0.2
    again = read()[1]
    assert levels(again) == levels(test)
    assert np.bincount(read(test_share=0.5)[1].labels).tolist() == [5, 5, 5]
    assert set(levels(test)) <= set(levels(read(test_share=0.5)[1]))


def test_a_class_may_be_called_train(read: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("bus", "train"):
        for row in range(5):
            put(tmp_path / "set" / name / f"{row}.png")
    train, test, _ = read(classes=["bus", "train"])
    assert (len(train.labels), len(test.labels)) == (8, 2)


@pytest.mark.parametrize("below", [["train", "test"], [""]])
@pytest.mark.parametrize(("typed", "unpacked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_class_may_be_typed_with_its_accent_and_unpacked_with_a_separate_one(
    read: Callable[..., Any], tmp_path: Path, below: list[str], typed: Any, unpacked: Any
) -> None:
    names = ["caf\u00e9", "\u00fcber", "\ud55c"]
    for label, name in enumerate(names):
        for half in below:
            for row in range(10):
                path = tmp_path / "set" / half / unicodedata.normalize(unpacked, name) / f"{row}.png"
                put(path, picture(10 * row + label))
    train, test, _ = read(classes=[unicodedata.normalize(typed, name) for name in names])
    assert [level % 10 for level in levels(train)] == train.labels.tolist()
    assert set(test.labels) == {0, 1, 2}


def test_two_folders_of_one_name_are_refused(read: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("cat", "caf\u00e9", "cafe\u0301"):
        put(tmp_path / "set" / name / "a.png")
    with pytest.raises(UserError, match="set: two folders are called 'caf\u00e9', once with separate accents"):
        read(classes=["cat", "caf\u00e9"])


def test_a_class_folder_beside_the_halves_is_found_however_it_is_typed(
    read: Callable[..., Any], tmp_path: Path
) -> None:
    for half in ("train/", "test/", ""):
        for name in ("cat", "cafe\u0301"):
            put(tmp_path / "set" / f"{half}{name}" / "a.png")
    with pytest.raises(UserError, match=r"this class folder is beside train and test"):
        read(classes=["caf\u00e9", "dog"])


@pytest.mark.parametrize("size", [(8, 12), (30, 20)])
def test_images_of_many_shapes_are_squashed_when_asked(
    read: Callable[..., Any], halves: Path, size: tuple[int, int]
) -> None:
    put(halves / "train" / "dog" / "001.png", picture(77, size))
    with pytest.raises(UserError, match=rf"dog/001\.png: image is {size[0]}x{size[1]}, not 8x8"):
        read()
    assert 77 in levels(read(resize="squash")[0])


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: remove(f / "train" / "dog"), r"set/train: no folder for the class 'dog'$"),
        (
            lambda f: (f / "train" / "dog").rename(f / "train" / "dogs"),
            r"set/train: no folder for the class 'dog'; did you mean 'dogs'\?",
        ),
        (lambda f: put(f / "test" / "dgo" / "a.png"), r"set/test/dgo: not the folder of a class; did you mean 'dog'\?"),
        (lambda f: put(f / "test" / "owl" / "more" / "a.png"), r"set/test/owl/more: a folder inside a class folder"),
        (
            lambda f: [(f / "train" / name).touch() for name in ("a.png", "b.JPG")],
            r"set/train: 2 images are outside the class folders, first a\.png; each must be in the folder of its",
        ),
        (
            lambda f: put(f / "stray.tif"),
            r"set: 1 images are outside the class folders, first stray\.tif; .* such as \S+/set/train/cat",
        ),
        (lambda f: put(f / "train" / "a.TIFF"), r"set/train: 1 images are outside the class folders, first a\.TIFF"),
        (lambda f: put(f / "dog" / "a.png"), r"set/dog: this class folder is beside train and test; class folders"),
        (lambda f: [path.unlink() for path in (f / "train" / "dog").iterdir()], r"class 1 \('dog'\) has no images"),
        (lambda f: (f / "test").rename(f / "validation"), r"set/test: no such folder; it must hold a folder per class"),
        (lambda f: put(f / "train" / "cat" / "notes.txt", b"cats"), r"cat/notes\.txt: truncated, or not an image"),
        (lambda f: put(f / "train" / "cat" / "zero.png", b""), r"cat/zero\.png: empty \(0 bytes\)"),
        (lambda f: (f / "train" / "cat" / "z.png").symlink_to("gone"), r"cat/z\.png: not readable \(No such file"),
    ],
)
def test_what_does_not_belong_there_is_named_and_refused(
    read: Callable[..., Any], halves: Path, change: Callable[[Path], object], message: str
) -> None:
    change(halves)
    with pytest.raises(UserError, match=message):
        read()


def test_files_that_cannot_be_used_are_named_in_one_message(read: Callable[..., Any], halves: Path) -> None:
    put(halves / "train" / "cat" / "zero.png", b"")
    put(halves / "train" / "owl" / "half.png", picture(0)[:40])
    with pytest.raises(
        UserError, match=r"^set, train split: 2 of 17 images cannot be used: \S+zero\.png: .*; \S+half\.png: truncated"
    ):
        read()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused(read: Callable[..., Any], halves: Path, kind: str) -> None:
    with (
        irregular(halves / "train" / "cat" / "001.png", kind) as called,
        pytest.raises(UserError, match=rf"cat/001\.png: {called}, not a regular file$"),
    ):
        read()


def test_links_to_images_are_followed(read: Callable[..., Any], halves: Path, tmp_path: Path) -> None:
    before = levels(read()[0])
    (halves / "train" / "cat" / "000.png").rename(tmp_path / "elsewhere.png")
    (halves / "train" / "cat" / "000.png").symlink_to(tmp_path / "elsewhere.png")
    assert levels(read()[0]) == before


def test_a_folder_that_is_not_there_is_named(read: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"nowhere: no such folder; it must hold a folder per class"):
        read(root="nowhere")


def test_a_share_without_an_image_of_every_class_is_refused(read: Callable[..., Any], tmp_path: Path) -> None:
    fill(tmp_path / "set", 2)
    with pytest.raises(UserError, match=r"set, test split: class \d .* has no images"):
        read(test_share=0.2)


# ---- ImageNet


@pytest.fixture
def read_imagenet(read_dataset: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``read_imagenet(**changes)``: two of the three classes of ``ilsvrc``, whose images are of 20x12."""
    for half, rows in (("train", 4), ("val", 2)):
        fill(tmp_path / "ilsvrc" / half, rows, size=(20, 12))

    def reading(**changes: Any) -> Any:
        return read_dataset(**({"kind": "imagenet", "root": "ilsvrc", "classes": CLASSES[:2]} | changes))

    return reading


def test_the_described_classes_are_read_and_squashed(read_imagenet: Callable[..., Any]) -> None:
    train, test, provenance = read_imagenet()
    assert train.images.shape == (8, 8, 8, 3)
    assert levels(train) == [0, 10, 20, 30, 1, 11, 21, 31]
    assert levels(test) == [0, 10, 1, 11]
    assert provenance == {"kind": "imagenet", "root": "ilsvrc"}


def test_an_image_is_squashed_and_not_cropped(read_imagenet: Callable[..., Any], tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 12), "white")
    image.paste((0, 0, 0), (0, 0, 10, 12))
    image.save(tmp_path / "ilsvrc" / "train" / "cat" / "000.png")
    found = read_imagenet()[0].images[0, :, :, 0]
    assert (found[:, :3] == 0).all()
    assert (found[:, 5:] == 255).all()


def test_a_flat_val_folder_is_refused(read_imagenet: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "ilsvrc" / "val").rename(tmp_path / "ilsvrc" / "sorted")
    for number in range(3):
        put(tmp_path / "ilsvrc" / "val" / f"ILSVRC2012_val_0000000{number}.JPEG", picture(0, form="jpeg"))
    with pytest.raises(
        UserError,
        match=r"val: 3 images are outside the class folders, first ILSVRC2012_val_00000000.*such as .*val/cat$",
    ):
        read_imagenet()


@pytest.mark.parametrize("half", ["train", "val"])
def test_a_missing_class_folder_is_named(read_imagenet: Callable[..., Any], tmp_path: Path, half: str) -> None:
    remove(tmp_path / "ilsvrc" / half / "dog")
    with pytest.raises(UserError, match=rf"ilsvrc/{half}: no folder for the class 'dog'$"):
        read_imagenet()


def test_a_missing_half_is_named(read_imagenet: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "ilsvrc" / "val").rename(tmp_path / "ilsvrc" / "validation")
    with pytest.raises(UserError, match=r"ilsvrc/val: no such folder; it must hold a folder per class"):
        read_imagenet()
