"""Image files and labels listed in a CSV or Parquet file."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from unlearnable import registry
from unlearnable.datasets.settings import Dataset
from unlearnable.datasets.size import Size, size_hint
from unlearnable.errors import UserError

CLASSES = ["cat", "dog", "owl"]
Read = Callable[..., Any]


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Thirty files in two folders; the grey level of each is its number."""
    names = [f"{'a b' if number % 2 else 'c'}/{number:02d}.png" for number in range(30)]
    for number, name in enumerate(names):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number,) * 3).save(tmp_path / "set" / name)
    return names


@pytest.fixture
def read(read_dataset: Callable[..., Any]) -> Read:
    """``read(**changes)``: read the images of ``set`` that ``index.csv`` lists."""

    def reading(**changes: Any) -> Any:
        return read_dataset(**({"kind": "listed", "root": "set", "index": "index.csv"} | changes))

    return reading


def index(folder: Path, rows: Sequence[tuple[str, ...]], header: str = "file,label,split") -> Path:
    text = "".join(f"{line}\n" for line in [header, *(",".join(row) for row in rows)])
    (folder / "index.csv").write_text(text, encoding="utf-8")
    return folder / "index.csv"


def levels(split: Any) -> list[int]:
    found: list[int] = split.images[:, 0, 0, 0].tolist()
    return found


def test_rows_keep_the_order_of_the_index_and_other_images_are_ignored(
    read: Read, images: list[str], tmp_path: Path
) -> None:
    splits = ["train", "test", "both"]
    rows = [(images[place], CLASSES[place % 3], splits[place // 3 % 3]) for place in range(20, -1, -1)]
    path = index(tmp_path, rows)
    train, test, provenance = read()
    assert levels(train) == [20, 19, 18, 17, 16, 15, 11, 10, 9, 8, 7, 6, 2, 1, 0]
    assert levels(test) == [17, 16, 15, 14, 13, 12, 8, 7, 6, 5, 4, 3]
    assert train.labels.tolist() == [place % 3 for place in levels(train)]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance == {"kind": "listed", "root": "set", "index": "index.csv", "sha256": digest}


def test_without_splits_a_balanced_share_becomes_the_test_set(read: Read, images: list[str], tmp_path: Path) -> None:
    index(tmp_path, [(name, CLASSES[place % 3]) for place, name in enumerate(images)], "file,label")
    train, test, _ = read()
    assert np.bincount(test.labels).tolist() == [2, 2, 2]
    assert sorted(levels(train) + levels(test)) == list(range(30))
    assert levels(train) == sorted(levels(train))
    assert levels(read()[1]) == levels(test)
    assert len(read(test_share=0.5)[1].labels) == 15


def test_parquet_is_read_as_csv_is(read: Read, images: list[str], tmp_path: Path) -> None:
    rows = [(name, CLASSES[place % 3], "both") for place, name in enumerate(images)]
    index(tmp_path, rows)
    table = pd.DataFrame(rows, columns=["file", "label", "split"]).assign(more=1)
    table.to_parquet(tmp_path / "index.parquet")
    assert levels(read(index="index.parquet")[0]) == levels(read()[0])
    table.assign(label="lynx").to_parquet(tmp_path / "index.parquet")
    with pytest.raises(UserError, match=r"index.parquet: row 1: unknown class 'lynx'.*row 10: .*; and 20 more$"):
        read(index="index.parquet")


def test_names_with_commas_quotes_accents_and_line_ends(read: Read, tmp_path: Path) -> None:
    names = ["a, b.png", 'a "b".png', "a\nb.png", "caf\u00e9.png"]
    classes = ["caf\u00e9", "dog"]
    for number, name in enumerate(names):
        (tmp_path / "set").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (number,) * 3).save(tmp_path / "set" / name)
    labels = [unicodedata.normalize("NFD", classes[0]), "dog"] * 2
    table = pd.DataFrame({"label": labels, "file": names, "split": "both"})
    table.to_csv(tmp_path / "index.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n")
    train, _, _ = read(classes=classes)
    assert (levels(train), train.labels.tolist()) == ([0, 1, 2, 3], [0, 1, 0, 1])


def test_orientation_is_applied(read: Read, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    for name in CLASSES:
        Image.fromarray(pixels).save(tmp_path / "set" / f"{name}.png", exif=exif)
    index(tmp_path, [(f"{name}.png", name, "both") for name in CLASSES])
    assert (read()[0].images[:, 7] == 255).all()


def test_all_faults_are_listed_with_their_lines(read: Read, images: list[str], tmp_path: Path) -> None:
    rows = [
        (images[0], "cat", "both"),
        (images[1], "dgo", "both"),
        ("/etc/hostname", "cat", "both"),
        ("c/../../x.png", "cat", "both"),
        ("c/none.png", "cat", "both"),
        (f"./{images[0]}", "cat", "test"),
        (images[2], "cat", "val"),
        ("", "cat", "both"),
    ]
    index(tmp_path, rows)
    with pytest.raises(UserError) as raised:
        read()
    expected = [
        "line 3: unknown class 'dgo'; did you mean 'dog'?",
        "line 4: '/etc/hostname' is not a path below the dataset's root",
        "line 5: 'c/../../x.png' is not a path below the dataset's root",
        f"line 6: {tmp_path}/set/c/none.png: no such file",
        f"line 7: {images[0]} is listed on line 2 already",
        "line 8: split is 'val'; known: train, test, both",
        "line 9: names no file",
    ]
    assert str(raised.value) == f"{tmp_path}/index.csv: {'; '.join(expected)}"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "has no column 'file'; it has none"),
        (b"file,class\n", "has no column 'label'; it has 'file', 'class'"),
        (b"file,label,file\n", "2 columns are called 'file'"),
        (b"file,label\n\n", "has no rows"),
        (b"file,label\na,cat,more\n", "line 2: 3 values for 2 columns"),
        (b'file,label\n"a"b,cat\n', "line 2: not CSV"),
        (b"file,label\na,cat\n\xff,cat\n", "line 3: not UTF-8"),
    ],
)
def test_an_index_that_cannot_be_read(read: Read, tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "index.csv").write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/index.csv: {fault}")):
        read()


def test_an_index_that_is_missing_damaged_or_another(read: Read, images: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"index.csv: no such file; index must be a CSV or Parquet file"):
        read()
    index(tmp_path, [(name, CLASSES[place % 3], "both") for place, name in enumerate(images)])
    with pytest.raises(UserError, match="checksum mismatch"):
        read(sha256="0" * 64)
    buffer = io.BytesIO(b"PAR1?")
    (tmp_path / "index.parquet").write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match=r"index.parquet: not a readable Parquet file"):
        read(index="index.parquet")


def test_the_size_is_the_number_of_rows(images: list[str], tmp_path: Path) -> None:
    index(tmp_path, [(name, CLASSES[place % 3], "both" if place < 6 else "train") for place, name in enumerate(images)])
    described = {"kind": "listed", "root": "set", "index": "index.csv", "image_size": 8, "classes": CLASSES}
    dataset: Dataset = registry.validated("readers", described)
    assert size_hint(dataset, tmp_path) == Size(30, 6, "counted on disk")
    (tmp_path / "index.csv").unlink()
    found = size_hint(dataset, tmp_path)
    assert (found.train, "index.csv: no such file" in found.source) == (None, True)
