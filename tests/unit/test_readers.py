"""Images and labels from files: whole ones, and damaged ones of every kind."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unlearnable.data import dataset, readers
from unlearnable.data.images import Array, Split, stratified_order
from unlearnable.errors import UserError
from unlearnable.settings.dataset import MnistDataset, ParquetDataset

CLASSES = ["cat", "dog", "owl"]
ROWS = 12


# ---- IDX


def idx(array: Array) -> bytes:
    """An array of unsigned bytes in the IDX format: magic, big-endian sizes, bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, train: Split, packed: bool = False) -> dict[str, bytes]:
    """The four files of an MNIST-like set; the test images are the training images turned."""
    images, labels = train.images[..., 0], train.labels.astype(np.uint8)
    contents = {
        "train-images-idx3-ubyte": idx(images),
        "train-labels-idx1-ubyte": idx(labels),
        "t10k-images-idx3-ubyte": idx(images.transpose(0, 2, 1).copy()),
        "t10k-labels-idx1-ubyte": idx(labels),
    }
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        put(folder, name, content, packed)
    return contents


def put(folder: Path, name: str, content: bytes, packed: bool = False) -> None:
    (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)


def read_idx(folder: Path, **changes: Any) -> tuple[Split, Split, dict[str, Any]]:
    description: dict[str, Any] = {
        "kind": "mnist",
        "variant": "MNIST",
        "root": folder.name,
        "image_size": 8,
        "channels": 1,
    }
    described = MnistDataset(**(description | {"classes": CLASSES} | changes))
    return readers.read(described, folder.parent, folder.parent / "downloads")


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_plain_or_packed(make_split: Callable[..., Split], tmp_path: Path, packed: bool) -> None:
    made = make_split(ROWS)
    contents = write_idx(tmp_path / "idx", made, packed)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    train, test, provenance = read_idx(tmp_path / "idx", sha256=hashes)
    assert np.array_equal(train.images, made.images)
    assert np.array_equal(test.images, made.images.transpose(0, 2, 1, 3))
    assert np.array_equal(train.labels, made.labels)
    assert train.labels.dtype == np.int64
    assert train.classes == CLASSES
    assert provenance["sha256"] == hashes  # of the unpacked files, so that packing does not count


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train-images-idx3-ubyte", lambda c: c[:-1], "truncated"),
        ("train-images-idx3-ubyte", lambda c: c + b"\0", "bytes where .* are announced"),
        ("train-images-idx3-ubyte", lambda c: c[:10], "not an IDX file"),
        ("train-images-idx3-ubyte", lambda c: b"", "not an IDX file"),
        ("train-images-idx3-ubyte", lambda c: b"\0\0\x0d\x03" + c[4:], r"not an IDX file of unsigned bytes"),
        ("train-images-idx3-ubyte", lambda c: b"<html>" + c[6:], "not an IDX file"),
        ("t10k-images-idx3-ubyte", lambda c: idx(np.zeros((ROWS, 8), np.uint8)), r"with 3 dimension"),
        ("train-labels-idx1-ubyte", lambda c: idx(np.zeros(ROWS - 1, np.uint8)), "12 images but 11 labels"),
        ("t10k-labels-idx1-ubyte", lambda c: idx(np.zeros(ROWS + 1, np.uint8)), "12 images but 13 labels"),
        ("train-labels-idx1-ubyte", lambda c: c[:-1] + b"\x03", r"label 3 is outside 0\.\.2"),
        (
            "t10k-labels-idx1-ubyte",
            lambda c: idx(np.arange(ROWS, dtype=np.uint8) % 2),
            r"class 2 \('owl'\) has no images",
        ),
        ("train-images-idx3-ubyte", lambda c: idx(np.zeros((ROWS, 9, 9), np.uint8)), r"\(9, 9, 1\), not \(8, 8, 1\)"),
    ],
)
def test_damaged_idx_files_are_named_and_refused(
    make_split: Callable[..., Split],
    tmp_path: Path,
    packed: bool,
    name: str,
    damage: Callable[[bytes], bytes],
    message: str,
) -> None:
    contents = write_idx(tmp_path / "idx", make_split(ROWS), packed)
    put(tmp_path / "idx", name, damage(contents[name]), packed)
    with pytest.raises(UserError, match=message) as raised:
        read_idx(tmp_path / "idx")
    assert str(tmp_path / "idx") in str(raised.value) or "idx, t" in str(raised.value)


def test_idx_files_of_another_content_than_expected_are_refused(
    make_split: Callable[..., Split], tmp_path: Path
) -> None:
    write_idx(tmp_path / "idx", make_split(ROWS))
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte: checksum mismatch: expected sha256 0000"):
        read_idx(tmp_path / "idx", sha256={"t10k-labels-idx1-ubyte": "0" * 64})


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-9], lambda c: b"not gzip", lambda c: b"", lambda c: c[:40] + b"?" + c[41:]]
)
def test_damaged_packed_files_are_named_and_refused(
    make_split: Callable[..., Split], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    write_idx(tmp_path / "idx", make_split(ROWS), packed=True)
    packed = tmp_path / "idx" / "train-images-idx3-ubyte.gz"
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        read_idx(tmp_path / "idx")


def test_a_missing_idx_file_is_named(make_split: Callable[..., Split], tmp_path: Path) -> None:
    write_idx(tmp_path / "idx", make_split(ROWS))
    (tmp_path / "idx" / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte: no such file, nor t10k-images-idx3-ubyte\.gz"):
        read_idx(tmp_path / "idx")


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_every_idx_array_is_read_back(shape: list[int], seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert np.array_equal(readers.parse_idx(idx(array), len(shape), Path("a")), array)


# ---- Parquet


def read_parquet(folder: Path, **changes: Any) -> tuple[Split, Split, dict[str, Any]]:
    description: dict[str, Any] = {"kind": "parquet", "root": folder.name, "image_size": 8, "channels": 1}
    described = ParquetDataset(**(description | {"classes": CLASSES} | changes))
    return readers.read(described, folder.parent, folder.parent / "downloads")


@pytest.fixture
def write(
    tmp_path: Path,
    make_split: Callable[..., Split],
    encode_png: Callable[[Array], bytes],
    write_parquet_images: Callable[..., None],
) -> Callable[..., Path]:
    """``write(change, channels=1)``: both files, the training rows as ``change(images, labels)`` leaves them."""

    def written(change: Callable[[list[bytes], list[int]], object] | None = None, channels: int = 1) -> Path:
        split = make_split(ROWS, channels)
        images, labels = [encode_png(image) for image in split.images], split.labels.tolist()
        write_parquet_images(tmp_path / "set" / "test.parquet", images, labels)
        if change is not None:
            change(images, labels)
        write_parquet_images(tmp_path / "set" / "train.parquet", images, labels)
        return tmp_path / "set"

    return written


@pytest.mark.parametrize("channels", [1, 3])
def test_parquet_images_are_read(write: Callable[..., Path], make_split: Callable[..., Split], channels: int) -> None:
    train, test, provenance = read_parquet(write(channels=channels), channels=channels)
    assert np.array_equal(train.images, make_split(ROWS, channels).images)
    assert np.array_equal(test.images, train.images)
    assert train.labels.tolist() == make_split(ROWS).labels.tolist()
    assert sorted(provenance["sha256"]) == ["test.parquet", "train.parquet"]


def test_images_may_be_plain_bytes_under_other_column_names(write: Callable[..., Path], tmp_path: Path) -> None:
    folder = write()
    for path in folder.glob("*.parquet"):
        table = pq.read_table(path)
        images = pa.array([image["bytes"] for image in table["image"].to_pylist()], pa.binary())
        pq.write_table(pa.table({"img": images, "fine": table["label"].cast(pa.int8())}), path)
    train, _, _ = read_parquet(folder, image_column="img", label_column="fine")
    assert train.images.shape == (ROWS, 8, 8, 1)
    assert train.labels.dtype == np.int64


def encoded(size: tuple[int, int], mode: str, form: str = "png") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated, or not an image"),
        (b"GIF89a, or so it says", "truncated, or not an image"),
        (b"<html>404</html>", "truncated, or not an image"),
        (encoded((9, 8), "L"), "image is 9x8, not 8x8"),
        (encoded((8, 7), "L"), "image is 8x7, not 8x8"),
        (encoded((8, 8), "RGB"), "image mode is RGB, not L"),
        (encoded((8, 8), "RGBA"), "image mode is RGBA, not L"),
        (encoded((8, 8), "1"), "image mode is 1, not L"),
        (encoded((8, 8), "P", "gif"), "image mode is P, not L"),
    ],
)
def test_an_image_that_does_not_fit_is_named_by_its_row_and_refused(
    write: Callable[..., Path], data: bytes, message: str
) -> None:
    folder = write(lambda images, _: images.__setitem__(7, data))
    with pytest.raises(UserError, match=rf"train\.parquet, row 7: .*{message}"):
        read_parquet(folder)


def test_a_grey_image_among_coloured_ones_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"row 7: image mode is L, not RGB"):
        read_parquet(write(lambda images, _: images.__setitem__(7, encoded((8, 8), "L")), channels=3), channels=3)


def decoded(data: bytes) -> Array | str:
    """The pixels, or why there are none."""
    try:
        return readers.decode(data, "here", (8, 8), "L")
    except UserError as error:
        return str(error)


def test_a_truncated_image_is_refused(make_split: Callable[..., Split], encode_png: Callable[[Array], bytes]) -> None:
    image = make_split(1).images[0]
    whole = encode_png(image)
    for length in range(len(whole)):
        found = decoded(whole[:length])
        if isinstance(found, str):
            assert found.startswith("here: truncated, or not an image")
        else:  # only checksums and the end mark are lost, no pixel is
            assert length >= len(whole) - 20
            assert np.array_equal(found, image)


@given(place=st.integers(0, 2**16), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_harmless(
    make_split: Callable[..., Split], encode_png: Callable[[Array], bytes], place: int, bit: int
) -> None:
    image = make_split(1).images[0]
    data = bytearray(encode_png(image))
    data[place % len(data)] ^= 1 << bit
    found = decoded(bytes(data))
    assert found.startswith("here: ") if isinstance(found, str) else np.array_equal(found, image)


@pytest.mark.parametrize("label", [-1, 3, 1000, 2**40])
def test_a_label_outside_the_classes_is_named_and_refused(write: Callable[..., Path], label: int) -> None:
    folder = write(lambda _, labels: labels.__setitem__(5, label))
    with pytest.raises(UserError, match=rf"train split, row 5: label {label} is outside 0\.\.2 \(3 classes\)"):
        read_parquet(folder)


def test_a_class_without_images_is_named_and_refused(write: Callable[..., Path]) -> None:
    folder = write(lambda _, labels: labels.__setitem__(slice(None), [n % 2 for n in range(ROWS)]))
    with pytest.raises(UserError, match=r"train split: class 2 \('owl'\) has no images"):
        read_parquet(folder)


@pytest.mark.parametrize("column", ["image_column", "label_column"])
def test_a_missing_column_is_named_with_those_there_are(write: Callable[..., Path], column: str) -> None:
    with pytest.raises(UserError, match=r"train\.parquet: no column 'nothing'; it has image, label"):
        read_parquet(write(), **{column: "nothing"})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": pa.array(["a.png"] * ROWS)}, "'image' holds string, not encoded images"),
        ({"image": pa.array([[1, 2]] * ROWS)}, "'image' holds list<.*>, not encoded images"),
        ({"label": pa.array(["cat"] * ROWS)}, "'label' must hold whole numbers"),
        ({"label": pa.array([0.5] * ROWS)}, "'label' must hold whole numbers"),
        ({"label": pa.array([0, None] * (ROWS // 2))}, "'label' must hold whole numbers without gaps"),
        ({"image": pa.array([None] * ROWS, pa.binary())}, "row 0: truncated, or not an image"),
    ],
)
def test_a_column_of_another_kind_is_refused(
    write: Callable[..., Path], columns: dict[str, pa.Array], message: str
) -> None:
    folder = write()
    table = pq.read_table(folder / "train.parquet")
    parts = {name: columns.get(name, table[name]) for name in ("image", "label")}
    pq.write_table(pa.table(parts), folder / "train.parquet")
    with pytest.raises(UserError, match=message):
        read_parquet(folder)


def test_a_file_without_rows_is_refused(write: Callable[..., Path]) -> None:
    folder = write(lambda images, labels: (images.clear(), labels.clear()))
    with pytest.raises(UserError, match=r"class 0 \('cat'\) has no images"):
        read_parquet(folder)


@pytest.mark.parametrize(
    "damage", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: b"PAR1", lambda c: c[:-8] + bytes(8)]
)
def test_a_damaged_parquet_file_is_named_and_refused(
    write: Callable[..., Path], damage: Callable[[bytes], bytes]
) -> None:
    path = write() / "test.parquet"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"test\.parquet: not a readable Parquet file"):
        read_parquet(path.parent)


def test_a_missing_file_is_named_with_what_the_folder_must_hold(write: Callable[..., Path]) -> None:
    folder = write()
    (folder / "test.parquet").unlink()
    with pytest.raises(UserError, match=r"test\.parquet: no such file; root must be a folder that holds train"):
        read_parquet(folder)


def test_a_parquet_file_of_another_content_than_expected_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(
        UserError, match=r"train\.parquet: checksum mismatch: expected sha256 0{64}, found [0-9a-f]{64}"
    ):
        read_parquet(write(), sha256={"train.parquet": "0" * 64})


# ---- validation


def numbered(rows: int) -> Split:
    """Images that tell their own row."""
    images = np.zeros((rows, 8, 8, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(rows)
    return Split(images, np.arange(rows, dtype=np.int64) % len(CLASSES), CLASSES)


@pytest.mark.parametrize("held_out", [1, 6, 30, 57])
def test_validation_images_are_held_out_of_the_training_set_and_balanced(
    tmp_path: Path,
    encode_png: Callable[[Array], bytes],
    write_parquet_images: Callable[..., None],
    held_out: int,
) -> None:
    rows = 60
    split = numbered(rows)
    for name in ("train", "test"):
        shown = split.images if name == "train" else split.images + 100
        images = [encode_png(image) for image in shown]
        write_parquet_images(tmp_path / "set" / f"{name}.parquet", images, split.labels.tolist())
    train, held, provenance = read_parquet(tmp_path / "set", validation=held_out)
    kept_rows, held_rows = train.images[:, 0, 0, 0].tolist(), held.images[:, 0, 0, 0].tolist()
    assert len(held_rows) == held_out
    assert sorted(kept_rows + held_rows) == list(range(rows))  # disjoint, complete, and no test image among them
    assert kept_rows == sorted(kept_rows)
    assert [row % 3 for row in held_rows] == held.labels.tolist()
    assert [row % 3 for row in kept_rows] == train.labels.tolist()
    counts = np.bincount(held.labels, minlength=3)
    assert counts.max() - counts.min() <= 1
    assert provenance["validation"] == held_out
    again = read_parquet(tmp_path / "set", validation=held_out)[1]
    assert np.array_equal(again.images, held.images)


def test_more_validation_images_than_there_are_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="validation: 10 is too many of 12 training images"):
        read_parquet(write(), validation=10)


# ---- the stored dataset


def test_a_stored_dataset_is_read_back(make_split: Callable[..., Split], store: Callable[..., Path]) -> None:
    made = make_split(23)
    folder = store(made)
    train = dataset.load(folder, "train")
    assert np.array_equal(train.images, made.images)
    assert np.array_equal(train.labels, made.labels)
    assert train.classes == made.classes
    assert sorted(path.name for path in (folder / "train").iterdir()) == [
        *(f"images-{n:05d}.npy" for n in range(3)),
        "labels.npy",
    ]


def test_the_identity_of_a_dataset_is_that_of_its_training_images_and_labels(
    make_split: Callable[..., Split], store: Callable[..., Path]
) -> None:
    made = make_split(23)
    pixel = made.images.copy()
    pixel[22, 7, 7, 0] ^= 1
    relabelled = Split(made.images, np.roll(made.labels, 1), made.classes)
    others = [Split(pixel, made.labels, made.classes), relabelled]
    identities = [dataset.identity(store(split, f"d{n}")) for n, split in enumerate([made, made, *others])]
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3


def test_the_network_sees_images_in_the_order_channel_row_column(make_split: Callable[..., Split]) -> None:
    import torch

    split = make_split(4, 3)
    images, labels = split.on(torch.device("cpu"))
    assert images.shape == (4, 3, 8, 8)
    assert int(images[2, 1, 5, 6]) == int(split.images[2, 5, 6, 1])
    assert labels.tolist() == split.labels.tolist()


@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_a_stratified_order_is_a_permutation(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))
