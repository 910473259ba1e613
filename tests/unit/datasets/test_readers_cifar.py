"""CIFAR archives: as the authors wrote them, and broken or hostile ones."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unlearnable.datasets import download
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError

CLASSES = {"cifar10": ["airplane", "automobile", "bird"], "cifar100": ["apple", "aquarium_fish", "baby"]}
FOLDER = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
ARCHIVE = {"cifar10": "cifar-10-python.tar.gz", "cifar100": "cifar-100-python.tar.gz"}


def python2(value: Any) -> bytes:
    """A pickle of protocol 2 as Python 2 and its NumPy wrote it: text is byte strings, the arrays' bytes too."""

    def body(item: Any) -> bytes:
        match item:
            case dict():
                return b"}(" + b"".join(body(part) for pair in item.items() for part in pair) + b"u"
            case list():
                return b"](" + b"".join(map(body, item)) + b"e"
            case tuple():
                return b"(" + b"".join(map(body, item)) + b"t"
            case bytes():
                return (b"U" + bytes([len(item)]) if len(item) < 256 else b"T" + struct.pack("<i", len(item))) + item
            case bool():
                return b"\x88" if item else b"\x89"
            case int():
                return b"K" + bytes([item]) if 0 <= item < 256 else b"J" + struct.pack("<i", item)
            case None:
                return b"N"
            case np.ndarray():
                kind = item.dtype.str[1:].encode()
                dtype = b"cnumpy\ndtype\n" + body(kind) + b"K\x00K\x01\x87R"
                dtype += body((3, b"|", None, None, None, -1, -1, 0)) + b"b"
                made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
                shape, data = body(item.shape), body(item.tobytes())
                return made + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"
            case Raw():
                return item.opcodes
        raise TypeError(item)

    return b"\x80\x02" + body(value) + b"."


@dataclass(frozen=True)
class Raw:
    """A part of a pickle as it stands."""

    opcodes: bytes


def test_the_pickles_of_these_tests_are_pickles() -> None:
    made = {b"data": np.arange(300, dtype=np.uint8).reshape(3, 100), b"labels": [1, 2, 300, -4], b"n": b"x" * 300}
    read = pickle.loads(python2(made), encoding="bytes")
    assert np.array_equal(read.pop(b"data"), made.pop(b"data"))  # type: ignore[arg-type]
    assert read == made


@dataclass
class Made:
    """A small archive in the making.

    Attributes:
        variant: cifar10 or cifar100.
        images: ``(30, 3, 32, 32)`` of the training set; the test images are the last six of it.
        labels: of the training set.
        members: what goes into the archive.
    """

    variant: str
    images: Array = field(default_factory=lambda: np.random.default_rng(0).integers(0, 256, (30, 3, 32, 32), np.uint8))
    labels: list[int] = field(default_factory=lambda: [row % 3 for row in range(30)])
    members: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [name.encode() for name in CLASSES[self.variant]]
        if self.variant == "cifar10":
            self.members["batches.meta"] = {b"num_cases_per_batch": 6, b"label_names": names, b"num_vis": 3072}
            parts = {f"data_batch_{n + 1}": slice(6 * n, 6 * n + 6) for n in range(5)} | {"test_batch": slice(24, 30)}
        else:
            self.members["meta"] = {b"fine_label_names": names, b"coarse_label_names": [b"fish", b"people"]}
            parts = {"train": slice(0, 30), "test": slice(24, 30)}
        for name, rows in parts.items():
            labels = self.labels[rows]
            self.members[name] = {
                b"batch_label": b"training batch 1 of 5",
                b"data": self.images[rows].reshape(-1, 3072),
                b"filenames": [b"camion_s_000148.png"] * len(labels),
            }
            if self.variant == "cifar10":
                self.members[name][b"labels"] = labels
            else:
                self.members[name] |= {b"fine_labels": labels, b"coarse_labels": [label % 2 for label in labels]}

    def write(self, path: Path) -> str:
        """Write the archive; gives its checksum."""
        with tarfile.open(path, "w:gz") as archive:
            for name, content in [("readme.html", b"<html>"), *self.members.items()]:
                data = content if isinstance(content, bytes) else python2(content)
                member = tarfile.TarInfo(f"{FOLDER[self.variant]}/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def read(read_dataset: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``read(made, **changes)``: write an archive and read it."""

    def reading(made: Made, **changes: Any) -> Any:
        sha256 = made.write(tmp_path / "given.tar.gz")
        described = {"kind": "cifar", "variant": made.variant, "archive": "given.tar.gz", "sha256": sha256}
        return read_dataset(**(described | {"image_size": 32, "classes": CLASSES[made.variant]} | changes))

    return reading


@pytest.mark.parametrize("variant", ["cifar10", "cifar100"])
def test_images_and_labels_are_read(read: Callable[..., Any], variant: str) -> None:
    made = Made(variant)
    train, test, provenance = read(made)
    assert np.array_equal(train.images, made.images.transpose(0, 2, 3, 1))
    assert np.array_equal(test.images, train.images[24:])
    assert train.labels.tolist() == made.labels  # of CIFAR-100 the fine ones
    assert test.labels.tolist() == made.labels[24:]
    assert provenance["root"] == "given.tar.gz"


def test_nothing_is_unpacked(read: Callable[..., Any], tmp_path: Path) -> None:
    made = Made("cifar10")
    made.members["../escaped"] = b"outside"
    read(made)
    assert [path.name for path in tmp_path.iterdir()] == ["given.tar.gz"]


@pytest.mark.parametrize("variant", ["cifar10", "cifar100"])
def test_an_archive_that_is_not_the_official_one_is_refused_unread(read: Callable[..., Any], variant: str) -> None:
    made = Made(variant)
    made.members = {"meta": Raw(b"cos\nsystem\n")}
    official = {"cifar10": "6d958be0745778", "cifar100": "85cd44d02ba643"}[variant]
    with pytest.raises(UserError, match=rf"given\.tar\.gz: checksum mismatch: expected sha256 {official}"):
        read(made, sha256=None)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("numpy", "fromfile"),
        ("numpy.core.multiarray", "scalar"),
        ("_codecs", "encode"),
        ("copy_reg", "_reconstructor"),
    ],
)
@pytest.mark.parametrize("place", ["meta", "data", "labels"])
def test_a_pickle_that_calls_for_anything_else_is_refused_by_name(
    read: Callable[..., Any], tmp_path: Path, module: str, name: str, place: str
) -> None:
    made = Made("cifar10")
    call = Raw(f"c{module}\n{name}\n(S'touch {tmp_path}/done'\ntR".encode())
    match place:
        case "meta":
            made.members["batches.meta"] = call
        case "data":
            made.members["data_batch_3"][b"data"] = call
        case "labels":
            made.members["test_batch"][b"labels"] = [call]
    with pytest.raises(UserError, match=rf"given\.tar\.gz, \S+: the pickle calls for {module}\.{name}, which"):
        read(made)
    assert not (tmp_path / "done").exists()


def test_an_attribute_of_an_admitted_class_cannot_be_reached(read: Callable[..., Any]) -> None:
    made = Made("cifar10")
    made.members["test_batch"] = b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."
    with pytest.raises(UserError, match=r"the pickle calls for numpy\.ndarray\.tofile"):
        read(made)


def cut(made: Made, name: str, content: Any) -> None:
    made.members[name] = python2(content)[:-40]


def without(made: Made, name: str) -> None:
    del made.members[name]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: without(m, "data_batch_4"), r"contains no file cifar-10-batches-py/data_batch_4; is it cifar-10-p"),
        (lambda m: without(m, "batches.meta"), r"it contains no file cifar-10-batches-py/batches\.meta"),
        (lambda m: cut(m, "test_batch", m.members["test_batch"]), "test_batch: a damaged pickle"),
        (lambda m: m.members.update(test_batch=b""), "test_batch: a damaged pickle"),
        (lambda m: m.members.update(test_batch=b"\x80\x02c"), "test_batch: a damaged pickle"),
        (lambda m: m.members.update(test_batch=[1, 2]), "test_batch: the pickle contains no dictionary"),
        (lambda m: m.members["test_batch"].pop(b"data"), "test_batch: 'data' is no array"),
        (lambda m: m.members["test_batch"].update({b"data": [1]}), "test_batch: 'data' is no array"),
        (
            lambda m: m.members["test_batch"].update({b"data": np.zeros((6, 3071), np.uint8)}),
            r"test_batch: 'data' is an array of shape \(6, 3071\), not one of shape \(images, 3072\)",
        ),
        (
            lambda m: m.members["test_batch"].update({b"data": np.zeros((6, 3072), np.float32)}),
            "test_batch: a damaged pickle .*not of unsigned bytes",
        ),
        (
            lambda m: m.members["data_batch_2"].update({b"data": np.zeros((5, 3072), np.uint8)}),
            "data_batch_2: 5 images but 6 labels",
        ),
        (lambda m: m.members["data_batch_2"].update({b"labels": [0] * 7}), "data_batch_2: 6 images but 7 labels"),
        (lambda m: m.members["data_batch_2"].update({b"labels": [b"0"] * 6}), "data_batch_2: no list of whole numbers"),
        (
            lambda m: m.members["data_batch_2"].update({b"labels": [Raw(b"\x8a\x0a" + b"\x7f" * 10)] * 6}),
            "data_batch_2: no list of whole numbers",
        ),
        (lambda m: m.members["data_batch_2"].pop(b"labels"), "data_batch_2: no list of whole numbers under 'labels'"),
        (lambda m: m.members["data_batch_2"][b"labels"].__setitem__(1, 3), r"train split, row 7: label 3 is outside"),
        (lambda m: m.members["batches.meta"].pop(b"label_names"), "batches.meta: no class names under 'label_names'"),
        (lambda m: m.members["batches.meta"].update({b"label_names": [b"a"]}), "1 classes, but the description has 3"),
    ],
)
def test_an_archive_of_another_content_is_named_and_refused(
    read: Callable[..., Any], damage: Callable[[Made], object], message: str
) -> None:
    made = Made("cifar10")
    damage(made)
    with pytest.raises(UserError, match=message):
        read(made)


@pytest.mark.parametrize("length", [0, 10, 1000, -2000])
def test_a_truncated_archive_is_named_and_refused(
    read_dataset: Callable[..., Any], tmp_path: Path, length: int
) -> None:
    made = Made("cifar10")
    made.write(tmp_path / "whole.tar.gz")
    part = (tmp_path / "whole.tar.gz").read_bytes()[:length]
    (tmp_path / "part.tar.gz").write_bytes(part)
    with pytest.raises(UserError, match=r"part\.tar\.gz.*: (truncated|a damaged pickle|it contains no file)"):
        read_dataset(
            kind="cifar", variant="cifar10", archive="part.tar.gz", sha256=hashlib.sha256(part).hexdigest(),
            image_size=32, classes=CLASSES["cifar10"],
        )  # fmt: skip


def test_classes_in_another_order_are_refused(read: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"batches\.meta: class 1 is 'automobile', not 'bird'"):
        read(Made("cifar10"), classes=["airplane", "bird", "automobile"])


def test_an_archive_that_is_not_there_is_named(read_dataset: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"here\.tar\.gz: no such file; archive must be the path of cifar-10-python"):
        read_dataset(kind="cifar", variant="cifar10", archive="here.tar.gz", classes=CLASSES["cifar10"])


def test_without_an_archive_it_is_downloaded(
    read_dataset: Callable[..., Any], serve_folder: Callable[[Path], str], tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    sha256 = Made("cifar100").write(tmp_path / "site" / ARCHIVE["cifar100"])
    train, _, provenance = read_dataset(
        kind="cifar", variant="cifar100", mirrors=[serve_folder(tmp_path / "site") + "/"], sha256=sha256,
        image_size=32, classes=CLASSES["cifar100"],
    )  # fmt: skip
    assert len(train.labels) == 30
    assert provenance == {"kind": "cifar", "root": ARCHIVE["cifar100"], "sha256": {ARCHIVE["cifar100"]: sha256}}
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == [ARCHIVE["cifar100"]]


def test_without_a_network_the_key_archive_is_offered(
    read_dataset: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LONGEST_PAUSE", 0.0)
    with pytest.raises(
        UserError, match=r"http://127\.0\.0\.1:9/cifar-10-python.* set the dataset's key archive to its path"
    ):
        read_dataset(kind="cifar", variant="cifar10", mirrors=["http://127.0.0.1:9"], classes=CLASSES["cifar10"])


@pytest.mark.parametrize("mirror", ["file:///data", "ftp://host/data", "www.example.org", "https://"])
def test_a_mirror_is_an_address_of_the_web(read_dataset: Callable[..., Any], mirror: str) -> None:
    with pytest.raises(ValueError, match="mirrors"):
        read_dataset(kind="cifar", variant="cifar10", mirrors=[mirror], classes=CLASSES["cifar10"])
