"""Parquet files of encoded images: whole ones, one or several a split, and damaged ones of every kind."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from unlearnable import registry
from unlearnable.datasets.size import Size, size_hint
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError

from ..irregular import KINDS, irregular

ROWS = 12

Change = Callable[[list[bytes], list[int]], object]


@pytest.fixture
def read(read_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """``read(**changes)``: read ``set``."""

    def reading(**changes: Any) -> Any:
        return read_dataset(**({"kind": "parquet", "root": "set", "channels": 1} | changes))

    return reading


@pytest.fixture
def write(
    tmp_path: Path,
    make_split: Callable[..., Split],
    encode_png: Callable[[Array], bytes],
    write_parquet_images: Callable[..., None],
) -> Callable[..., Path]:
    """``write(change, channels=1)``: both files, the training rows as ``change(images, labels)`` leaves them."""

    def written(change: Change | None = None, channels: int = 1) -> Path:
        split = make_split(ROWS, channels)
        images, labels = [encode_png(image) for image in split.images[:]], split.labels.tolist()
        write_parquet_images(tmp_path / "set" / "test.parquet", images, labels)
        if change is not None:
            change(images, labels)
        write_parquet_images(tmp_path / "set" / "train.parquet", images, labels)
        return tmp_path / "set"

    return written


def image_file(size: tuple[int, int] = (8, 8), mode: str = "L", form: str = "png") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_labels_are_read(
    write: Callable[..., Path], read: Callable[..., Any], make_split: Callable[..., Split], channels: int
) -> None:
    write(channels=channels)
    train, test, provenance = read(channels=channels)
    assert np.array_equal(train.images, make_split(ROWS, channels).images[:])
    assert np.array_equal(test.images, train.images)
    assert train.labels.tolist() == make_split(ROWS).labels.tolist()
    assert sorted(provenance["sha256"]) == ["test.parquet", "train.parquet"]


def test_images_may_be_plain_bytes_under_other_column_names(
    write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    for path in write().glob("*.parquet"):
        table = pq.read_table(path)
        images = pa.array([image["bytes"] for image in table["image"].to_pylist()], pa.binary())
        pq.write_table(pa.table({"img": images, "fine": table["label"].cast(pa.int8())}), path)
    train, _, _ = read(image_column="img", label_column="fine")
    assert train.images.shape == (ROWS, 8, 8, 1)


def in_parts(path: Path, cuts: list[int]) -> list[Path]:
    """Replace a Parquet file by several, as dataset hubs name them."""
    table = pq.read_table(path)
    bounds = [0, *cuts, len(table)]
    count = len(bounds) - 1
    parts = [path.with_name(f"{path.stem}-{n:05d}-of-{count:05d}.parquet") for n in range(count)]
    for part, start, end in zip(parts, bounds, bounds[1:], strict=False):
        pq.write_table(table.slice(start, end - start), part, row_group_size=2)
    path.unlink()
    return parts


def test_a_split_in_several_files_is_the_same_split(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    folder = write()
    whole = read()[0]
    in_parts(folder / "train.parquet", [5, 6])
    train, test, provenance = read()
    assert np.array_equal(train.images, whole.images)
    assert np.array_equal(train.labels, whole.labels)
    assert len(test.labels) == ROWS
    assert sorted(provenance["sha256"]) == ["test.parquet", *(f"train-0000{n}-of-00003.parquet" for n in range(3))]


def test_an_image_in_a_later_file_is_named_by_its_row_there(
    write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    folder = write(lambda images, _: images.__setitem__(7, b""))
    in_parts(folder / "train.parquet", [5])
    with pytest.raises(UserError, match=r"train-00001-of-00002\.parquet, row 2: empty"):
        read()


def test_a_missing_file_of_several_is_named(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    in_parts(write() / "train.parquet", [5, 6])[1].unlink()
    with pytest.raises(UserError, match=r"train-00001-of-00003\.parquet: this file is missing; the train .* 3 files"):
        read()


def test_files_of_two_sets_are_not_mixed(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    folder = write()
    whole = (folder / "train.parquet").read_bytes()
    in_parts(folder / "train.parquet", [5])
    (folder / "train.parquet").write_bytes(whole)
    with pytest.raises(UserError, match="are more than one set of the train split; keep one of them"):
        read()
    (folder / "train.parquet").rename(folder / "train-00000-of-00001.parquet")
    with pytest.raises(UserError, match=r"train-0000\d-of-0000\d\.parquet: this file (is missing|does not belong)"):
        read()


def with_hashes(paths: list[Path]) -> list[Path]:
    """Add to each name a hash of its own."""
    return [path.rename(path.with_name(f"{path.stem}-ab12cd3{n}.parquet")) for n, path in enumerate(paths)]


def test_files_may_have_a_hash_after_their_number(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    folder = write()
    whole = read()[0]
    paths = with_hashes(in_parts(folder / "train.parquet", [5, 6]))
    assert np.array_equal(read()[0].images, whole.images)
    paths[1].unlink()
    with pytest.raises(UserError, match=r"train-00001-of-00003-\*\.parquet: this file is missing; .* is 3 files"):
        read()


def test_a_number_that_two_files_have_is_refused(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    paths = with_hashes(in_parts(write() / "train.parquet", [5]))
    paths[1].with_name("train-00001-of-00002-ffffffff.parquet").write_bytes(paths[1].read_bytes())
    with pytest.raises(
        UserError, match=r"train-00001-of-00002-ffffffff\.parquet: this file does not belong to the same set"
    ):
        read()


def test_several_files_without_numbers_are_refused(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    folder = write()
    (folder / "train_old.parquet").write_bytes((folder / "train.parquet").read_bytes())
    with pytest.raises(UserError, match=r"train\.parquet, train_old\.parquet are more than one set of the train split"):
        read()


def test_images_of_many_shapes_are_squashed_when_asked(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    write(lambda images, _: images.__setitem__(7, image_file((30, 20))))
    with pytest.raises(UserError, match=r"train\.parquet, row 7: image is 30x20, not 8x8"):
        read()
    assert read(resize="squash")[0].images.shape == (ROWS, 8, 8, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"<html>404</html>", "truncated, or not an image"),
        (image_file((9, 8)), "image is 9x8, not 8x8"),
    ],
)
def test_an_image_that_cannot_be_used_is_named_by_its_row(
    write: Callable[..., Path], read: Callable[..., Any], data: bytes, message: str
) -> None:
    write(lambda images, _: images.__setitem__(7, data))
    with pytest.raises(UserError, match=rf"train\.parquet, row 7: {message}"):
        read()


def test_several_images_that_cannot_be_used_are_named_together(
    write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    write(lambda images, _: images.__setitem__(slice(3, 5), [b"", b"text"]))
    with pytest.raises(UserError, match=r"^set, train split: 2 of 12 images .*train\.parquet, row 3: .*, row 4: "):
        read()


@pytest.mark.parametrize("label", [-1, 3, 1000, 2**40])
def test_a_label_outside_the_classes_is_named_and_refused(
    write: Callable[..., Path], read: Callable[..., Any], label: int
) -> None:
    write(lambda _, labels: labels.__setitem__(5, label))
    with pytest.raises(UserError, match=rf"set, train split, row 5: label {label} is outside 0\.\.2 \(3 classes\)"):
        read()


def test_a_class_without_images_is_named_and_refused(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    write(lambda _, labels: labels.__setitem__(slice(None), [n % 2 for n in range(ROWS)]))
    with pytest.raises(UserError, match=r"set, train split: class 2 \('owl'\) has no images"):
        read()


@pytest.mark.parametrize("column", ["image_column", "label_column"])
def test_a_missing_column_is_named_with_those_there_are(
    write: Callable[..., Path], read: Callable[..., Any], column: str
) -> None:
    write()
    with pytest.raises(UserError, match=r"train\.parquet: no column 'nothing'; it has image, label"):
        read(**{column: "nothing"})


@pytest.mark.parametrize("column", ["image", "label"])
def test_a_column_that_appears_twice_is_refused(
    write: Callable[..., Path], read: Callable[..., Any], column: str
) -> None:
    path = write() / "train.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column(column, table[column]), path)
    with pytest.raises(UserError, match=rf"train\.parquet: 2 columns are called '{column}'; it has image, label, "):
        read()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": pa.array(["a.png"] * ROWS)}, "'image' holds string, not encoded images"),
        ({"image": pa.array([[1, 2]] * ROWS)}, "'image' holds list<.*>, not encoded images"),
        ({"image": pa.array([{"path": "a.png"}] * ROWS)}, "'image' holds struct<.*>, not encoded images"),
        ({"label": pa.array(["cat"] * ROWS)}, "'label' must hold whole numbers"),
        ({"label": pa.array([0.5] * ROWS)}, "'label' must hold whole numbers"),
        ({"label": pa.array([0, None] * (ROWS // 2))}, "'label' must hold whole numbers without gaps"),
        ({"image": pa.array([None] * ROWS, pa.binary())}, "12 of 12 images .* row 0: empty"),
        ({"image": pa.array([None] * ROWS, pa.struct([("bytes", pa.binary())]))}, "12 of 12 images .* row 0: empty"),
    ],
)
def test_a_column_of_another_kind_is_refused(
    write: Callable[..., Path], read: Callable[..., Any], columns: dict[str, pa.Array], message: str
) -> None:
    folder = write()
    table = pq.read_table(folder / "train.parquet")
    parts = {name: columns.get(name, table[name]) for name in ("image", "label")}
    pq.write_table(pa.table(parts), folder / "train.parquet")
    with pytest.raises(UserError, match=message):
        read()


def test_a_file_without_rows_is_refused(write: Callable[..., Path], read: Callable[..., Any]) -> None:
    write(lambda images, labels: (images.clear(), labels.clear()))
    with pytest.raises(UserError, match=r"class 0 \('cat'\) has no images"):
        read()


@pytest.mark.parametrize(
    "damage", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: b"PAR1", lambda c: c[:-8] + bytes(8)]
)
def test_a_damaged_file_is_named_and_refused(
    write: Callable[..., Path], read: Callable[..., Any], damage: Callable[[bytes], bytes]
) -> None:
    path = write() / "test.parquet"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"test\.parquet: not a readable Parquet file"):
        read()


def test_a_missing_file_is_named_with_what_the_folder_must_hold(
    write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    (write() / "test.parquet").unlink()
    with pytest.raises(UserError, match=r"test\.parquet: no such file; root must be a folder that holds train"):
        read()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_also_when_images_are_counted(
    write: Callable[..., Path], read: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    path = in_parts(write() / "train.parquet", [5])[1]
    described = {"kind": "parquet", "root": "set", "image_size": 8, "classes": ["a", "b", "c"]}
    with irregular(path, kind) as called:
        message = f"{path}: {called}, not a regular file"
        with pytest.raises(UserError, match=message):
            read()
        assert size_hint(registry.validated("readers", described), tmp_path) == Size(None, None, message)


def test_a_file_of_another_content_than_expected_is_refused(
    write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    write()
    with pytest.raises(
        UserError, match=r"train\.parquet: checksum mismatch: expected sha256 0{64}, found [0-9a-f]{64}"
    ):
        read(sha256={"train.parquet": "0" * 64})


# ---- validation, which is the same for all kinds


@pytest.mark.parametrize("held_out", [3, 7, 30, 57])
def test_validation_images_are_held_out_of_the_training_set_and_balanced(
    tmp_path: Path,
    read: Callable[..., Any],
    encode_png: Callable[[Array], bytes],
    write_parquet_images: Callable[..., None],
    held_out: int,
) -> None:
    rows = 60
    labels = [row % 3 for row in range(rows)]
    for name, first in (("train", 0), ("test", 100)):  # every image tells its own row
        images = [encode_png(np.full((8, 8, 1), first + row, np.uint8)) for row in range(rows)]
        write_parquet_images(tmp_path / "set" / f"{name}.parquet", images, labels)
    train, held, provenance = read(validation=held_out)
    kept_rows, held_rows = train.images[:, 0, 0, 0].tolist(), held.images[:, 0, 0, 0].tolist()
    assert len(held_rows) == held_out
    assert sorted(kept_rows + held_rows) == list(range(rows))  # disjoint, complete, and no test image among them
    assert kept_rows == sorted(kept_rows)
    assert [row % 3 for row in held_rows] == held.labels.tolist()
    assert [row % 3 for row in kept_rows] == train.labels.tolist()
    counts = np.bincount(held.labels, minlength=3)
    assert counts.max() - counts.min() <= 1
    assert provenance["validation"] == held_out
    assert np.array_equal(read(validation=held_out)[1].images, held.images)


@pytest.mark.parametrize(
    ("rows", "message"), [(2, "2 is too few for 3 classes"), (10, "10 is too many of 12 training images")]
)
def test_a_number_of_validation_images_that_cannot_be_held_out_is_refused(
    write: Callable[..., Path], read: Callable[..., Any], rows: int, message: str
) -> None:
    write()
    with pytest.raises(UserError, match=f"validation: {message}"):
        read(validation=rows)


def test_a_wrong_label_is_named_by_its_row_before_any_image_is_held_out(
    write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    write(lambda _, labels: labels.__setitem__(11, 3))
    with pytest.raises(UserError, match=r"set, train split, row 11: label 3"):
        read(validation=3)


# ---- a choice of the images, which is the same for all kinds


def test_a_class_balanced_choice_of_the_images_keeps_their_order_and_labels(
    tmp_path: Path,
    read: Callable[..., Any],
    encode_png: Callable[[Array], bytes],
    write_parquet_images: Callable[..., None],
) -> None:
    for name, first in (("train", 0), ("test", 100)):
        images = [encode_png(np.full((8, 8, 1), first + row, np.uint8)) for row in range(60)]
        write_parquet_images(tmp_path / "set" / f"{name}.parquet", images, [row % 3 for row in range(60)])
    train, test, _ = read(train_images=20, test_images=9)
    rows = train.images[:, 0, 0, 0].tolist()
    assert rows == sorted(set(rows))
    assert [row % 3 for row in rows] == train.labels.tolist()
    assert sorted(np.bincount(train.labels)) == [6, 7, 7]
    assert np.bincount(test.labels).tolist() == [3, 3, 3]
    assert (test.images >= 100).all()
    smaller = read(train_images=10)[0].images[:, 0, 0, 0].tolist()
    assert set(smaller) < set(rows)


@pytest.mark.parametrize("rows", [2, 13])
def test_a_choice_that_leaves_a_class_out_or_is_larger_than_the_set_is_refused(
    write: Callable[..., Path], read: Callable[..., Any], rows: int
) -> None:
    write()
    with pytest.raises(UserError, match=rf"train_images: {rows} does not fit its 3 classes and 12 images"):
        read(train_images=rows)
