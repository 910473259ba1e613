"""Tiny ImageNet: its zip, the folder it unpacks to, and broken ones."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unlearnable.errors import UserError

from ..irregular import KINDS, irregular

WNIDS = ["n02124075", "n01443537", "n12267677"]
CLASSES = sorted(WNIDS)
FOLDER = "tiny-imagenet-200"

Files = dict[str, bytes]


def jpeg(level: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (64, 64), level if mode == "L" else (level, level, level)).save(buffer, "jpeg")
    return buffer.getvalue()


def official() -> Files:
    """The files of a small set; in the first class images are grey, and levels are ``10 * row + label``."""
    files = {"wnids.txt": "\n".join(WNIDS).encode(), "words.txt": b"n01443537\tgoldfish, Carassius auratus\n"}
    for label, wnid in enumerate(CLASSES):
        files[f"train/{wnid}/{wnid}_boxes.txt"] = f"{wnid}_0.JPEG\t0\t10\t63\t58\n".encode()
        for row in range(4):
            files[f"train/{wnid}/images/{wnid}_{row}.JPEG"] = jpeg(10 * row + label, "RGB" if label else "L")
    for row in range(len(WNIDS)):
        files[f"val/images/val_{row}.JPEG"] = jpeg(100 + row)
        files[f"test/images/test_{row}.JPEG"] = jpeg(200)
    lines = [f"val_{row}.JPEG\t{wnid}\t0\t32\t44\t62\n" for row, wnid in enumerate(WNIDS)]
    files["val/val_annotations.txt"] = "".join(lines).encode()
    return files


def write_zip(path: Path, files: Files) -> str:
    """Write the archive; gives its checksum."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{FOLDER}/", b"")
        for name, content in files.items():
            archive.writestr(f"{FOLDER}/{name}", content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_folder(path: Path, files: Files) -> None:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


@pytest.fixture
def read(read_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """``read(**changes)``: read a set."""

    def reading(**changes: Any) -> Any:
        return read_dataset(**({"kind": "tiny-imagenet", "image_size": 64, "classes": CLASSES} | changes))

    return reading


@pytest.fixture(params=["zip", "folder", "folder above"])
def read_files(request: pytest.FixtureRequest, read: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``read_files(files, **changes)``: write a set as a zip or a folder, and read it."""

    def reading(files: Files, **changes: Any) -> Any:
        if request.param == "zip":
            return read(archive="given.zip", **({"sha256": write_zip(tmp_path / "given.zip", files)} | changes))
        above = tmp_path / "above"
        write_folder(above / FOLDER, files)
        return read(archive=str(above / FOLDER if request.param == "folder" else above), **changes)

    return reading


def levels(split: Any) -> list[int]:
    """The level of every image, whose three channels are equal up to what JPEG does to them."""
    assert np.ptp(split.images.astype(int), axis=-1).max() <= 2
    found: list[int] = split.images[:, 0, 0, 0].tolist()
    return found


def test_training_and_val_images_are_read(read_files: Callable[..., Any]) -> None:
    train, test, _ = read_files(official())
    assert train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert levels(train) == [10 * row + label for label in range(3) for row in range(4)]
    assert test.labels.tolist() == [1, 0, 2]  # as annotated
    assert levels(test) == [100, 101, 102]


def test_classes_in_another_order_than_wordnets_are_refused(read_files: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"WordNet's order: class 1 is 'n02124075', not 'n12267677'"):
        read_files(official(), classes=[CLASSES[0], CLASSES[2], CLASSES[1]])


def test_a_zip_that_is_not_the_official_one_is_refused(read: Callable[..., Any], tmp_path: Path) -> None:
    write_zip(tmp_path / "given.zip", official())
    with pytest.raises(UserError, match=r"given\.zip: checksum mismatch: expected sha256 6198c8ae015e2b3e007c78"):
        read(archive="given.zip")


def changed(name: str, content: bytes | None) -> Files:
    """The set with one file changed or removed."""
    files = official() | ({} if content is None else {name: content})
    return {key: value for key, value in files.items() if content is not None or not key.startswith(name)}


ANNOTATED = official()["val/val_annotations.txt"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("wnids.txt", None, r"it contains no file wnids\.txt; its files must be those of tiny-imagenet-200\.zip"),
        ("wnids.txt", b"n02124075\nn01443537", r"class 'n12267677' is not in its wnids\.txt"),
        ("wnids.txt", b"n00000001\nn02124075\nn01443537\nn12267677", r"its class 'n00000001' is not among the classes"),
        ("train/n02124075", None, r"no images in train/n02124075/images"),
        ("train/n00000001/images/a.JPEG", jpeg(1), r"train/n00000001 is not the folder of a class"),
        ("val/val_annotations.txt", None, r"it contains no file val/val_annotations\.txt"),
        (
            "val/val_annotations.txt",
            ANNOTATED + b"val_3.JPEG\tn1\t0",
            r"val_annotations\.txt, line 4: 'n1' is not a cl",
        ),
        ("val/val_annotations.txt", ANNOTATED + b"\n", r"val_annotations\.txt, line 4: '' is not a class"),
        ("val/images/val_1.JPEG", None, r"val/images/val_1\.JPEG: it is missing"),
        ("val/images/val_3.JPEG", jpeg(1), r"val/images/val_3\.JPEG: it has no annotation"),
        ("train/n02124075/images/n02124075_1.JPEG", b"", r"n02124075_1\.JPEG: empty \(0 bytes\)"),
        ("train/n02124075/images/n02124075_1.JPEG", jpeg(1)[:300], r"n02124075_1\.JPEG: truncated, or not an image"),
    ],
)
def test_a_set_of_another_content_is_named_and_refused(
    read_files: Callable[..., Any], name: str, content: bytes | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_files(changed(name, content))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["train/n02124075/images/n02124075_1.JPEG", "wnids.txt"])
def test_what_is_no_file_is_refused(read: Callable[..., Any], tmp_path: Path, name: str, kind: str) -> None:
    write_folder(tmp_path / "set", official())
    with (
        irregular(tmp_path / "set" / name, kind) as called,
        pytest.raises(UserError, match=f"{name}: {called}, not a regular file$"),
    ):
        read(archive="set")


def test_images_of_another_size_are_refused(read_files: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"12 of 12 images cannot be used: .*image is 64x64, not 32x32"):
        read_files(official(), image_size=32)


@pytest.mark.parametrize("length", [0, 50, 2000, -30])
def test_a_truncated_zip_is_named_and_refused(read: Callable[..., Any], tmp_path: Path, length: int) -> None:
    write_zip(tmp_path / "whole.zip", official())
    part = (tmp_path / "whole.zip").read_bytes()[:length]
    (tmp_path / "part.zip").write_bytes(part)
    with pytest.raises(UserError, match=r"part\.zip: truncated, or not a zip archive"):
        read(archive="part.zip", sha256=hashlib.sha256(part).hexdigest())


def test_an_image_damaged_within_the_zip_is_named(read: Callable[..., Any], tmp_path: Path) -> None:
    write_zip(tmp_path / "whole.zip", official())
    data = bytearray((tmp_path / "whole.zip").read_bytes())
    with zipfile.ZipFile(tmp_path / "whole.zip") as archive:
        info = archive.getinfo(f"{FOLDER}/train/n02124075/images/n02124075_2.JPEG")
    place = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
    data[place] ^= 0xFF
    (tmp_path / "given.zip").write_bytes(data)
    with pytest.raises(
        UserError, match=r"given\.zip, train/n02124075/images/n02124075_2\.JPEG: damaged in the archive"
    ):
        read(archive="given.zip", sha256=hashlib.sha256(data).hexdigest())


def test_a_zip_of_something_else_is_refused(read: Callable[..., Any], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "given.zip", "w") as archive:
        archive.writestr("other/wnids.txt", b"n02124075")
    sha256 = hashlib.sha256((tmp_path / "given.zip").read_bytes()).hexdigest()
    with pytest.raises(UserError, match=r"given\.zip: it contains no file wnids\.txt"):
        read(archive="given.zip", sha256=sha256)


def test_without_an_archive_it_is_downloaded(
    read: Callable[..., Any], serve_folder: Callable[[Path], str], tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    sha256 = write_zip(tmp_path / "site" / "tiny-imagenet-200.zip", official())
    train, _, provenance = read(mirrors=[serve_folder(tmp_path / "site")], sha256=sha256)
    assert len(train.labels) == 12
    assert provenance["sha256"] == {"tiny-imagenet-200.zip": sha256}
