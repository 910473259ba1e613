"""Small files that unpack to much: what they state is compared with what is allowed before memory is taken for it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFile
from scipy.io import savemat

from unlearnable import arrays
from unlearnable.datasets import stream as streams
from unlearnable.datasets.readers import _decoding
from unlearnable.datasets.readers._decoding import Fit, Room, decoded, pixels
from unlearnable.datasets.readers.cifar import reader as cifar
from unlearnable.datasets.readers.mnist.reader import FILES
from unlearnable.errors import UserError

MIB = 2**20
CLASSES = ["cat", "dog", "owl"]


def png_of(width: int, height: int) -> bytes:
    """A black grey PNG, packed as densely as it can be, made without having its pixels in memory."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def noise_png(size: int) -> bytes:
    """A PNG of random pixels, about three bytes each."""
    buffer = io.BytesIO()
    draws = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    Image.fromarray(draws).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def write_parquet(path: Path, images: list[bytes], **options: Any) -> None:
    """A Parquet file of images, whose labels are 0, 1, 2 in turn."""
    path.parent.mkdir(exist_ok=True)
    labels = pa.array(np.arange(len(images)) % 3)
    pq.write_table(pa.table({"image": pa.array(images, pa.binary()), "label": labels}), path, **options)


def write_idx(folder: Path, images: bytes, labels: bytes) -> None:
    """Gzipped files of both splits with these contents, for a dataset of the kind mnist."""
    folder.mkdir()
    for names in FILES.values():
        for name, content in zip(names, (images, labels), strict=True):
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))


def idx_header(*shape: int) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


# ---- measured


READ = """
import json, sys
from pathlib import Path
from unlearnable import registry
from unlearnable.datasets import read as readers, stream as streams
from unlearnable.errors import UserError

def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def read(described):
    dataset = registry.validated("readers", described)
    shape = dataset.image_size, dataset.image_size, dataset.channels
    for stream in readers.read(dataset, Path(sys.argv[1]), Path())[:2]:
        for piece in streams.checked(stream, shape, dataset.classes).chunks():
            pass

described, small = map(json.loads, sys.argv[2:])
registry.load_module("readers", described["kind"])
read(small)  # so that the libraries are loaded
before = most()
try:
    message = read(described)
except UserError as error:
    message = str(error)
print(json.dumps([message, most() - before]))
"""

measured = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells the peak of a process without its parent's"
)


def read_elsewhere(root: Path, **description: Any) -> tuple[str | None, int]:
    """Read a dataset in another process: its message, and the bytes that the process grew by at most."""
    described = {"image_size": 8, "channels": 1, "classes": CLASSES, "root": "set"} | description
    small = {"kind": "parquet", "root": "small", "image_size": 8, "channels": 1, "classes": CLASSES}
    for split in ("train", "test"):
        write_parquet(root / "small" / f"{split}.parquet", [png_of(8, 8)] * 3)
    command = [sys.executable, "-c", READ, str(root), json.dumps(described), json.dumps(small)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    message, grown = json.loads(done.stdout)
    return message, grown


@measured
def test_photographs_in_small_row_groups_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    photograph = noise_png(300)  # of 270 kB; without a dictionary the file repeats it
    for split, rows in (("train", 400), ("test", 3)):
        path = tmp_path / "set" / f"{split}.parquet"
        write_parquet(path, [photograph] * rows, row_group_size=10, use_dictionary=False, compression="none")
    held = (tmp_path / "set/train.parquet").stat().st_size
    message, grown = read_elsewhere(tmp_path, kind="parquet", image_size=32, channels=3, resize="squash")
    assert message is None
    assert held > 100 * MIB
    assert grown < held / 2, grown / MIB


@measured
def test_photographs_are_decoded_only_as_many_as_fit(tmp_path: Path) -> None:
    photograph = png_of(3000, 3000)
    for split in ("train", "test"):
        for name in CLASSES:
            (tmp_path / "set" / split / name).mkdir(parents=True)
            for row in range(4):
                (tmp_path / "set" / split / name / f"{row}.png").write_bytes(photograph)
    message, grown = read_elsewhere(tmp_path, kind="folder", resize="squash")
    assert message is None
    assert grown < _decoding.ROOM / 2, grown / MIB  # most of it is for converted copies, which these do not need


@measured
def test_a_small_file_of_an_image_that_is_too_large_takes_no_memory(tmp_path: Path) -> None:
    large, right = png_of(9000, 9000), png_of(8, 8)
    for split, first in (("train", large), ("test", right)):
        write_parquet(tmp_path / "set" / f"{split}.parquet", [first, right, right])
    message, grown = read_elsewhere(tmp_path, kind="parquet")
    assert message is not None
    assert message.endswith("train.parquet, row 0: image is 9000x9000, not 8x8")
    assert grown < 40 * MIB, grown / MIB


@measured
def test_an_idx_file_that_goes_on_after_its_end_is_not_unpacked(tmp_path: Path) -> None:
    labels = idx_header(3) + bytes([0, 1, 2])
    write_idx(tmp_path / "set", idx_header(3, 8, 8) + bytes(200 * MIB), labels)
    message, grown = read_elsewhere(tmp_path, kind="mnist", variant="MNIST")
    assert message is not None
    assert message.endswith("train-images-idx3-ubyte: more bytes, but its header announces 192")
    assert grown < 40 * MIB, grown / MIB


@measured
def test_idx_files_pass_piece_by_piece(tmp_path: Path) -> None:
    rows = MIB // 2
    labels = (np.arange(rows) % 3).astype(np.uint8).tobytes()
    write_idx(tmp_path / "set", idx_header(rows, 12, 12) + bytes(144 * rows), idx_header(rows) + labels)
    message, grown = read_elsewhere(tmp_path, kind="mnist", variant="MNIST", image_size=12)
    assert message is None
    assert grown < 50 * MIB, grown / MIB  # images are 72


@measured
@pytest.mark.parametrize("column", ["image", "label"])
def test_a_parquet_cell_that_unpacks_to_much_is_not_unpacked(tmp_path: Path, column: str) -> None:
    right = png_of(8, 8)
    for split, first in (("train", bytes(60 * MIB)), ("test", right)):
        path = tmp_path / "set" / f"{split}.parquet"
        write_parquet(path, [first, right, right] if column == "image" else [right] * 3, compression="zstd")
    if column == "label":
        many = np.zeros(10 * MIB, np.int64)
        table = pa.table({"image": pa.nulls(len(many), pa.binary()), "label": many})
        options = {"compression": "zstd", "use_dictionary": False, "row_group_size": len(many)}
        pq.write_table(table, tmp_path / "set" / "train.parquet", **options)
    assert (tmp_path / "set/train.parquet").stat().st_size < MIB
    message, grown = read_elsewhere(tmp_path, kind="parquet", image_pixels_limit=MIB)
    assert message is not None
    assert f"train.parquet, row group 0: column '{column}' unpacks from " in message
    assert "more than the 5,242,880 allowed" in message
    assert grown < 40 * MIB, grown / MIB


# ---- encoded images


@pytest.mark.parametrize("resize", [False, True])
def test_the_size_in_the_header_is_compared_before_the_image_is_decoded(
    monkeypatch: pytest.MonkeyPatch, resize: bool
) -> None:
    def load(image: Any) -> None:
        raise AssertionError("the image was decoded")

    data = png_of(30, 20)
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    message = {
        False: "^here: image is 30x20, not 8x8$",
        True: "^here: 30x20 are 600 pixels, more than image_pixels_limit: 599$",
    }[resize]
    with pytest.raises(UserError, match=message):
        pixels(data, "here", Fit(8, 1, resize, pixels_limit=599))


def test_an_image_of_as_many_pixels_as_allowed_is_read() -> None:
    assert pixels(png_of(30, 20), "here", Fit(8, 1, True, pixels_limit=600)).shape == (8, 8, 1)


def test_what_pillow_does_not_open_is_refused_with_its_limit() -> None:
    data = bytearray(png_of(8, 8))
    data[16:24] = struct.pack(">II", 2**15, 2**15)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    with pytest.raises(UserError, match=r"^here: Image size \(1073741824 pixels\) exceeds limit of 178956970 pixels"):
        pixels(bytes(data), "here", Fit(8, 1, True))


def test_a_file_that_is_larger_than_any_image_is_not_read(tmp_path: Path, read_dataset: Callable[..., Any]) -> None:
    for split in ("train", "test"):
        for name in CLASSES:
            (tmp_path / "set" / split / name).mkdir(parents=True)
            (tmp_path / "set" / split / name / "a.png").write_bytes(png_of(8, 8))
    with open(tmp_path / "set/train/dog/a.png", "ab") as file:
        file.truncate(2**40)  # takes no space
    with pytest.raises(
        UserError, match=r"dog/a\.png: 1,099,511,627,776 bytes, more than .* image_pixels_limit: 6710886"
    ):
        read_dataset(kind="folder", root="set", channels=1)


def test_a_cell_that_is_larger_than_any_image_is_not_read(tmp_path: Path, read_dataset: Callable[..., Any]) -> None:
    right = png_of(8, 8)
    for split in ("train", "test"):
        rows = [right, right, right + np.random.default_rng(0).bytes(2 * MIB)]
        write_parquet(tmp_path / "set" / f"{split}.parquet", rows)
    with pytest.raises(
        UserError, match=r"row 2: 2,\d+,\d+ bytes, more than the 1,048,980 that image_pixels_limit: 101"
    ):
        read_dataset(kind="parquet", root="set", channels=1, image_pixels_limit=101)


def test_an_image_waits_until_there_is_room() -> None:
    room, entered = Room(10), threading.Event()

    def decode() -> None:
        with room.taking(6):
            entered.set()

    with room.taking(6):
        waiting = threading.Thread(target=decode)
        waiting.start()
        assert not entered.wait(0.05)
    waiting.join(5)
    assert entered.is_set()


def test_an_image_that_is_larger_than_all_the_room_has_it_alone() -> None:
    room, entered = Room(10), threading.Event()

    def decode() -> None:
        with room.taking(1):
            entered.set()

    with room.taking(50):
        waiting = threading.Thread(target=decode)
        waiting.start()
        assert not entered.wait(0.05)
    waiting.join(5)
    assert entered.is_set()


def test_every_image_takes_room_for_its_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    class Watched(Room):
        def taking(self, size: int) -> Any:
            taken.append(size)
            return super().taking(size)

    monkeypatch.setattr(_decoding, "Room", Watched)
    data = png_of(30, 20)
    images: list[_decoding.Encoded] = [(str(row), lambda: data) for row in range(20)]
    assert sum(map(len, decoded(images, len(images), "set", Fit(8, 1, resize=True)))) == 20
    assert taken == [30 * 20 * _decoding.DECODED_PIXEL] * 20


# ---- numbers of images


@pytest.mark.parametrize("kind", ["parquet", "mnist"])
def test_more_images_than_a_split_may_have_are_refused(
    tmp_path: Path, read_dataset: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(streams, "IMAGES_LIMIT", 5)
    if kind == "parquet":
        for split in ("train", "test"):
            write_parquet(tmp_path / "set" / f"{split}.parquet", [png_of(8, 8)] * 6)
    else:
        write_idx(tmp_path / "set", idx_header(6, 8, 8), idx_header(6))
    with pytest.raises(UserError, match="states 6 images, more than the 5 that a split may have"):
        read_dataset(kind=kind, root="set", channels=1, **({"variant": "MNIST"} if kind == "mnist" else {}))


@pytest.mark.parametrize("count", [2**32 - 1, 50_000_000])
def test_idx_files_that_state_absurd_numbers_are_refused(
    tmp_path: Path, read_dataset: Callable[..., Any], count: int
) -> None:
    write_idx(tmp_path / "set", idx_header(count, 8, 8), idx_header(count))
    with pytest.raises(UserError, match=f"labels-idx1-ubyte: states {count:,} images, more than the 20,000,000"):
        read_dataset(kind="mnist", variant="MNIST", root="set", channels=1)


# ---- archives


def test_a_mat_file_with_more_than_all_of_svhn_is_not_loaded(
    tmp_path: Path, read_dataset: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the arrays were loaded")

    hashes = {}
    for name in ("train_32x32.mat", "test_32x32.mat"):
        savemat(tmp_path / name, {"X": np.zeros((32, 32, 3, 3), np.uint8), "y": np.ones((3, 1), np.uint8)})
        content = (tmp_path / name).read_bytes()
        stated = content.replace(struct.pack("<4i", 32, 32, 3, 3), struct.pack("<4i", 32, 32, 3, 10**9))
        assert stated != content
        (tmp_path / name).write_bytes(stated)
        hashes[name] = hashlib.sha256(stated).hexdigest()
    monkeypatch.setattr("scipy.io.loadmat", load)
    with pytest.raises(UserError, match=r"train_32x32\.mat: X states the shape \(32, 32, 3, 1000000000\), but all of"):
        read_dataset(kind="svhn", root=".", image_size=32, classes=[str(n) for n in range(10)], sha256=hashes)


@pytest.mark.parametrize("place", ["member", "pax header", "beside"])
def test_a_cifar_archive_that_unpacks_to_much_is_not_unpacked(
    tmp_path: Path, read_dataset: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(cifar, "LARGEST", MIB)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("other" if place == "beside" else "cifar-10-batches-py/batches.meta")
        member.size = 2 * MIB
        if place == "pax header":
            member.type = tarfile.XHDTYPE
        long_text = b"\x80\x02T" + struct.pack("<i", 2 * MIB)  # the beginning of a pickle
        archive.addfile(member, io.BytesIO(long_text.ljust(2 * MIB, b"\0")))
    sha256 = hashlib.sha256((tmp_path / "a.tar.gz").read_bytes()).hexdigest()
    with pytest.raises(UserError, match=r"a\.tar\.gz: unpacks to more than 1,048,576 bytes; CIFAR's archives have 186"):
        read_dataset(kind="cifar", variant="cifar10", archive="a.tar.gz", sha256=sha256, image_size=32)


def write_zip(path: Path, images: bytes, method: int = zipfile.ZIP_DEFLATED, text: bytes = b"") -> str:
    """A tiny ImageNet with one image for each split and class, and its checksum."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("tiny-imagenet-200/wnids.txt", "\n".join(CLASSES).encode() + text)
        lines = [f"{name}.JPEG\t{name}\n" for name in CLASSES]
        archive.writestr("tiny-imagenet-200/val/val_annotations.txt", "".join(lines))
        for name in CLASSES:
            archive.writestr(f"tiny-imagenet-200/train/{name}/images/a.JPEG", images)
            archive.writestr(f"tiny-imagenet-200/val/images/{name}.JPEG", images)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": bytes(2 * MIB)}, "images/a.JPEG: 2,097,152 bytes, more than the 1,048,980 that image_pixels_limit"),
        ({"images": png_of(8, 8), "method": zipfile.ZIP_BZIP2}, "wnids.txt: compressed by method 12, not deflated"),
        (
            {"images": b"", "text": bytes(2**24)},
            "wnids.txt: 16,777,227 bytes, more than the 16,777,216 that a text file",
        ),
    ],
)
def test_a_zip_with_files_that_unpack_to_much_is_refused(
    tmp_path: Path, read_dataset: Callable[..., Any], content: dict[str, Any], message: str
) -> None:
    sha256 = write_zip(tmp_path / "a.zip", **content)
    with pytest.raises(UserError, match=message):
        read_dataset(kind="tiny-imagenet", archive="a.zip", sha256=sha256, image_pixels_limit=101)


def test_a_zip_that_understates_a_size_is_unpacked_no_further(tmp_path: Path, read_dataset: Callable[..., Any]) -> None:
    write_zip(tmp_path / "a.zip", bytes(3 * MIB))
    content = (tmp_path / "a.zip").read_bytes().replace(struct.pack("<I", 3 * MIB), struct.pack("<I", 100))
    (tmp_path / "a.zip").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    with pytest.raises(UserError, match=r"train/cat/images/a\.JPEG: damaged in the archive \(Bad CRC-32"):
        read_dataset(kind="tiny-imagenet", archive="a.zip", sha256=sha256)


# ---- stored arrays


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 2**62), (6, 10**6), (5,), (0,)])
@pytest.mark.parametrize("read", [arrays.read_array, arrays.map_array])
def test_an_array_whose_header_states_another_size_than_the_file_has_is_refused(
    tmp_path: Path, read: Callable[[Path], Any], shape: tuple[int, ...]
) -> None:
    path = tmp_path / "a.npy"
    with open(path, "wb") as file:
        about = {"descr": "<i8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, about)
        file.write(bytes(48))
    with pytest.raises(
        UserError, match=r"a\.npy: not a complete \.npy array \(its header announces \d+ bytes, but 48 fol"
    ):
        read(path)
