"""SVHN's .mat files: as the authors wrote them, and broken ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from unlearnable.datasets.split import Array
from unlearnable.errors import UserError

ROWS = 40
CLASSES = [str(digit) for digit in range(10)]
NAMES = ("train_32x32.mat", "test_32x32.mat")


def images(rows: int = ROWS, size: int = 32) -> Array:
    """``(size, size, 3, rows)``, as the files hold them."""
    return np.random.default_rng(rows).integers(0, 256, (size, size, 3, rows), np.uint8)


def labels(rows: int = ROWS) -> Array:
    """1 to 10 in turn, in a column."""
    return (np.arange(rows, dtype=np.uint8) % 10 + 1)[:, None]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """``write(**train)``: both files into ``svhn``, the training file with changed content; gives the checksums."""

    def written(folder: Path = tmp_path / "svhn", **train: Any) -> dict[str, str]:
        folder.mkdir(exist_ok=True)
        contents = {"train_32x32.mat": train, "test_32x32.mat": {}}
        for name, content in contents.items():
            whole = {"X": images(), "y": labels()} | content
            held = {key: value for key, value in whole.items() if value is not None}
            savemat(folder / name, held, do_compression=True)  # as MATLAB does it
        return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in NAMES}

    return written


@pytest.fixture
def read(read_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """``read(sha256, **changes)``: read ``svhn``."""

    def reading(sha256: dict[str, str], **changes: Any) -> Any:
        described = {"kind": "svhn", "root": "svhn", "image_size": 32, "classes": CLASSES, "sha256": sha256}
        return read_dataset(**(described | changes))

    return reading


def test_images_and_digits_are_read(write: Callable[..., Any], read: Callable[..., Any]) -> None:
    hashes = write(X=images(50), y=labels(50))
    train, test, provenance = read(hashes)
    assert np.array_equal(train.images, images(50).transpose(3, 0, 1, 2))
    assert np.array_equal(test.images, images().transpose(3, 0, 1, 2))
    assert train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0] * 5  # the files call the digit 0 ten
    assert provenance == {"kind": "svhn", "root": "svhn", "sha256": hashes}


def test_digits_in_another_order_are_refused(write: Callable[..., Any], read: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"svhn, whose labels are the digits: class 0 is '0', not '1': its classes are"):
        read(write(), classes=list("1234567890"))  # the order in which the files number them


def test_files_that_are_not_the_official_ones_are_refused(write: Callable[..., Any], read: Callable[..., Any]) -> None:
    write()
    with pytest.raises(UserError, match=r"train_32x32\.mat: checksum mismatch: expected sha256 435e94d69a87fde4"):
        read({})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"X": None}, "X is missing"),
        ({"y": None}, "y is missing"),
        ({"X": images().astype(np.float32)}, r"X is float32 of shape \(32, 32, 3, 40\), not uint8"),
        ({"X": images()[..., 0]}, r"X is uint8 of shape \(32, 32, 3\), not uint8 of shape \(32, 32, 3, images\)"),
        ({"y": labels(39)}, r"y is uint8 of shape \(39, 1\), not 40 whole numbers, as many as images"),
        ({"y": csc_array(labels())}, r"train_32x32\.mat: y is a sparse matrix, not 40 whole numbers"),
        ({"X": csc_array(labels())}, r"train_32x32\.mat: X is \w+ of shape \(40, 1\), not uint8"),
        ({"y": labels().astype(float)}, r"y is float64 of shape \(40, 1\), not 40 whole numbers"),
        ({"y": labels() - 1}, r"row 0: label 0 is outside 1\.\.10"),
        ({"y": labels() + 1}, r"row 9: label 11 is outside 1\.\.10"),
        ({"y": labels() % 10 + (labels() == 10)}, r"svhn, train split: class 0 \('0'\) has no images"),
        ({"X": images(size=28)}, r"images are \(height, width, channels\) \(28, 28, 3\), not \(32, 32, 3\)"),
    ],
)
def test_files_of_another_content_are_named_and_refused(
    write: Callable[..., Any], read: Callable[..., Any], content: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(write(**content))


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c[: len(c) // 2],
        lambda c: c[:100],
        lambda c: b"",
        lambda c: b"\x89HDF\r\n\x1a\n" + bytes(600),
        lambda c: c[:200] + bytes(50) + c[250:],
    ],
)
def test_a_damaged_file_is_named_and_refused(
    write: Callable[..., Any], read: Callable[..., Any], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    hashes = write()
    content = damage((tmp_path / "svhn" / "test_32x32.mat").read_bytes())
    (tmp_path / "svhn" / "test_32x32.mat").write_bytes(content)
    with pytest.raises(UserError, match=r"test_32x32\.mat: truncated, or not a \.mat file"):
        read(hashes | {"test_32x32.mat": hashlib.sha256(content).hexdigest()})


def test_a_missing_file_is_named(write: Callable[..., Any], read: Callable[..., Any], tmp_path: Path) -> None:
    hashes = write()
    (tmp_path / "svhn" / "test_32x32.mat").unlink()
    with pytest.raises(UserError, match=r"test_32x32\.mat: no such file; root must be a folder that holds train_32x32"):
        read(hashes)


def test_a_root_that_is_no_folder_is_warned_of(
    write: Callable[..., Any],
    read: Callable[..., Any],
    serve_folder: Callable[[Path], str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    read(write(tmp_path / "site"), root="shvn", mirrors=[serve_folder(tmp_path / "site")])
    assert f"{tmp_path / 'shvn'}: no such folder; the official files are downloaded" in caplog.messages


def test_without_the_files_they_are_downloaded(
    write: Callable[..., Any], read: Callable[..., Any], serve_folder: Callable[[Path], str], tmp_path: Path
) -> None:
    hashes = write(tmp_path / "site")
    train, _, provenance = read(hashes, root=None, mirrors=[serve_folder(tmp_path / "site")])
    assert len(train.labels) == ROWS
    assert provenance["sha256"] == hashes
