"""A release may be of this tool, or what another one wrote."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from unlearnable.datasets import released
from unlearnable.errors import UserError
from unlearnable.owners.released_files import read_released
from unlearnable.owners.scan import scan_structure


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), level).save(buffer, "png")
    return buffer.getvalue()


def images(folder: Path) -> Path:
    for number, label in enumerate(("cat", "cat", "dog", "dog")):
        path = folder / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return folder


def found(given: Path, tmp_path: Path) -> list[tuple[str, str]]:
    structure = read_released(given, tmp_path / "unpacked")
    assert not scan_structure(structure).faults
    return [(entry.file, entry.label) for entry in structure.entries]


EXPECTED = [("cat/0.png", "cat"), ("cat/1.png", "cat"), ("dog/2.png", "dog"), ("dog/3.png", "dog")]


def test_a_release_is_read_by_its_list(tmp_path: Path) -> None:
    images(tmp_path / "mine/images")
    with (tmp_path / "mine/images.csv").open("w") as file:
        released.write_list(file, [released.Listed(name, label, "0" * 64, 8, "30") for name, label in EXPECTED])
    assert found(tmp_path / "mine", tmp_path) == EXPECTED


def test_class_folders_and_an_index_are_read(tmp_path: Path) -> None:
    folder = images(tmp_path / "theirs")
    assert found(folder, tmp_path) == EXPECTED
    pd.DataFrame(EXPECTED, columns=["file", "label"]).to_parquet(folder / "labels.parquet")
    assert found(folder, tmp_path) == EXPECTED
    assert found(folder / "labels.parquet", tmp_path) == EXPECTED


@pytest.mark.parametrize("whole", [True, False])
def test_parquet_with_images_is_unpacked(tmp_path: Path, whole: bool) -> None:
    names = ["cat/0.png", "../1.png", None, "cat/0.png"]
    rows = [{"bytes": png(number), "path": name} for number, name in enumerate(names)]
    table = pa.table({"image": rows, "label": [0, 0, 1, 1]}, schema=released.schema(["cat", "dog"]))
    folder = tmp_path / "parquet"
    folder.mkdir()
    if whole:
        pq.write_table(table, folder / "train.parquet")
    else:
        pq.write_table(table[:2], folder / "train-0.parquet")
        pq.write_table(table[2:], folder / "train-1.parquet")
    expected = [("cat/0.png", "cat"), ("000001", "cat"), ("000002", "dog"), ("000003", "dog")]
    for _ in range(2):  # the second time over what the first one wrote
        assert found(folder, tmp_path) == expected
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="no such folder"):
        read_released(folder, tmp_path / "unpacked")


def test_plain_binary_columns_and_text_labels_are_read(tmp_path: Path) -> None:
    table = pa.table({"image": [png(0), png(1)], "label": ["cat", "dog"]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert found(tmp_path / "x.parquet", tmp_path) == [("000000", "cat"), ("000001", "dog")]


def test_a_column_without_encoded_images_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [1, 2], "label": [0, 1]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="column 'image' holds int64, not encoded images"):
        read_released(tmp_path / "x.parquet", tmp_path / "unpacked")
