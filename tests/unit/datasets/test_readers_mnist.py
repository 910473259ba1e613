"""IDX files: whole ones, and damaged ones of every kind."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearnable import registry
from unlearnable.datasets import download
from unlearnable.datasets.readers.mnist.reader import Idx
from unlearnable.datasets.size import Size, size_hint
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError

from ..irregular import KINDS, irregular

ROWS = 12


def idx(array: Array) -> bytes:
    """An array of unsigned bytes in the IDX format: magic, big-endian sizes, bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def put(folder: Path, name: str, content: bytes, packed: bool = False) -> None:
    (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)


@pytest.fixture
def made(make_split: Callable[..., Split]) -> Split:
    return make_split(ROWS)


@pytest.fixture
def write(tmp_path: Path, made: Split) -> Callable[..., dict[str, bytes]]:
    """``write(packed=False)``: the four files in ``idx``; the test images are the training images turned."""

    def written(packed: bool = False) -> dict[str, bytes]:
        images, labels = np.asarray(made.images[:])[..., 0], made.labels.astype(np.uint8)
        contents = {
            "train-images-idx3-ubyte": idx(images),
            "train-labels-idx1-ubyte": idx(labels),
            "t10k-images-idx3-ubyte": idx(images.transpose(0, 2, 1).copy()),
            "t10k-labels-idx1-ubyte": idx(labels),
        }
        (tmp_path / "idx").mkdir(exist_ok=True)
        for name, content in contents.items():
            put(tmp_path / "idx", name, content, packed)
        return contents

    return written


@pytest.fixture
def read(read_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """``read(**changes)``: read ``idx``."""

    def reading(**changes: Any) -> Any:
        return read_dataset(**({"kind": "mnist", "variant": "MNIST", "root": "idx", "channels": 1} | changes))

    return reading


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_plain_or_packed(
    write: Callable[..., Any], read: Callable[..., Any], made: Split, packed: bool
) -> None:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in write(packed).items()}
    train, test, provenance = read(sha256=hashes)
    assert np.array_equal(train.images, made.images[:])
    assert np.array_equal(test.images, made.images[:].transpose(0, 2, 1, 3))
    assert np.array_equal(train.labels, made.labels)
    assert provenance["sha256"] == hashes  # of the unpacked files, so that packing does not count


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train-images-idx3-ubyte", lambda c: c[:-1], "truncated"),
        ("train-images-idx3-ubyte", lambda c: c + b"\0", "bytes, but its header announces"),
        (
            "train-images-idx3-ubyte",
            lambda c: c[:8] + b"\xff" * 8 + c[16:],
            r"\(4294967295, 4294967295, 1\), not \(8, 8, 1\)",
        ),
        ("train-images-idx3-ubyte", lambda c: c[:4] + b"\xff" * 4 + c[8:], "4294967295 images but 12 labels"),
        ("train-labels-idx1-ubyte", lambda c: c[:4] + b"\xff" * 4 + c[8:], "12 images but 4294967295 labels"),
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
def test_damaged_files_are_named_and_refused(
    write: Callable[..., Any],
    read: Callable[..., Any],
    tmp_path: Path,
    packed: bool,
    name: str,
    damage: Callable[[bytes], bytes],
    message: str,
) -> None:
    put(tmp_path / "idx", name, damage(write(packed)[name]), packed)
    with pytest.raises(UserError, match=message) as raised:
        read()
    assert str(tmp_path / "idx") in str(raised.value) or "idx, t" in str(raised.value)


def test_a_root_that_is_no_folder_is_warned_of_before_the_download(
    read: Callable[..., Any], serve_folder: Callable[[Path], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError, match="could not be downloaded"):
        read(root="idxx", mirrors=[serve_folder(tmp_path)])
    assert f"{tmp_path / 'idxx'}: no such folder; the official files are downloaded" in caplog.messages


def test_files_of_another_content_than_expected_are_refused(
    write: Callable[..., Any], read: Callable[..., Any]
) -> None:
    write()
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte: checksum mismatch: expected sha256 0000"):
        read(sha256={"t10k-labels-idx1-ubyte": "0" * 64})


def test_a_checksum_of_no_file_is_refused(write: Callable[..., Any], read: Callable[..., Any]) -> None:
    write()
    with pytest.raises(UserError, match=r"sha256\.t10k-labels-ubyte: .* did you mean 't10k-labels-idx1-ubyte'\?"):
        read(sha256={"t10k-labels-ubyte": "0" * 64})


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-9], lambda c: b"not gzip", lambda c: b"", lambda c: c[:40] + b"?" + c[41:]]
)
def test_damaged_packed_files_are_named_and_refused(
    write: Callable[..., Any], read: Callable[..., Any], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    write(packed=True)
    packed = tmp_path / "idx" / "train-images-idx3-ubyte.gz"
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        read()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_file_is_refused_also_when_images_are_counted(
    write: Callable[..., Any], read: Callable[..., Any], tmp_path: Path, packed: bool, kind: str
) -> None:
    write(packed)
    path = tmp_path / "idx" / f"t10k-labels-idx1-ubyte{'.gz' if packed else ''}"
    described = {"kind": "mnist", "variant": "MNIST", "root": "idx", "image_size": 8, "classes": ["a", "b", "c"]}
    with irregular(path, kind) as called:
        message = f"{path}: {called}, not a regular file"
        with pytest.raises(UserError, match=message):
            read()
        assert size_hint(registry.validated("readers", described), tmp_path) == Size(None, None, message)


def test_a_missing_file_is_named(write: Callable[..., Any], read: Callable[..., Any], tmp_path: Path) -> None:
    write()
    (tmp_path / "idx" / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte: no such file, nor t10k-images-idx3-ubyte\.gz"):
        read()


def test_without_files_and_network_the_addresses_and_the_way_out_are_named(
    read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LONGEST_PAUSE", 0.0)
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz could not be downloaded .*'s key root") as e:
        read(root="elsewhere", mirrors=["http://127.0.0.1:9/a", "http://127.0.0.1:9/b/"])
    assert "http://127.0.0.1:9/a/train-images-idx3-ubyte.gz" in str(e.value)
    assert "http://127.0.0.1:9/b/train-images-idx3-ubyte.gz" in str(e.value)


def test_a_download_that_is_not_the_official_file_is_refused(
    write: Callable[..., Any], read: Callable[..., Any], serve_folder: Callable[[Path], str], tmp_path: Path
) -> None:
    write(packed=True)
    with pytest.raises(UserError, match=r"/train-images-idx3-ubyte\.gz \(checksum mismatch: expected md5 f68b3c2d"):
        read(root=None, mirrors=[serve_folder(tmp_path / "idx")])


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_every_array_is_read_back(tmp_path: Path, shape: list[int], seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    put(tmp_path, "a", idx(array))
    assert np.array_equal(Idx.of(tmp_path / "a", len(shape)).array(), array)
