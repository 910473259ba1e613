"""Images pass piece by piece: through the dataset stage into shards, and out of them; nothing is ever loaded whole."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearnable import arrays, files
from unlearnable.datasets import shards
from unlearnable.datasets import stream as streams
from unlearnable.datasets.shards import Sharded
from unlearnable.datasets.split import Array, Chosen, Split, stratified_order
from unlearnable.datasets.stream import Stream
from unlearnable.errors import UserError

CLASSES = ["cat", "dog", "owl"]


# ---- arrays that are written row by row


@pytest.mark.parametrize("pieces", [[5], [1, 4], [0, 2, 0, 3], [1] * 5])
def test_an_array_written_in_pieces_has_the_bytes_of_one_written_at_once(tmp_path: Path, pieces: list[int]) -> None:
    array = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    expected = arrays.write_array(tmp_path / "whole.npy", array)
    with arrays.stream_array(tmp_path / "pieces.npy", array.shape, array.dtype) as file:
        for piece in np.split(array, np.cumsum(pieces)[:-1]):
            file.write(piece)
    content = (tmp_path / "pieces.npy").read_bytes()
    assert content == (tmp_path / "whole.npy").read_bytes()
    assert file.sha256 == expected == hashlib.sha256(content).hexdigest()
    assert np.array_equal(np.load(tmp_path / "pieces.npy"), array)


@pytest.mark.parametrize(
    "rows",
    [np.zeros((4, 3), np.int8), np.zeros((2, 3), np.int16), np.zeros((2, 2), np.int8), np.zeros((0, 3), np.int8)],
)
def test_an_array_that_is_not_as_announced_does_not_appear(tmp_path: Path, rows: Array) -> None:
    def write() -> None:
        with arrays.stream_array(tmp_path / "a.npy", (3, 3), np.int8) as file:
            file.write(np.zeros((1, 3), np.int8))
            file.write(rows)

    with pytest.raises(ValueError, match=r"a\.npy: (.* do not fit into int8 \(3, 3\)|1 rows were written of 3)"):
        write()
    assert os.listdir(tmp_path) == []


def test_a_mapped_array_is_the_array_and_cannot_be_written_to(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array in (np.arange(24, dtype=np.int8).reshape(2, 3, 4), np.zeros((0, 3), np.int16)):
        arrays.write_array(path, array)
        mapped = arrays.map_array(path)
        assert type(mapped) is np.ndarray
        assert np.array_equal(mapped, array)
        assert mapped.dtype == array.dtype
        assert not mapped.flags.writeable
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"a\.npy: not a complete \.npy array"):
        arrays.map_array(path)


# ---- images in shards


def numbered(rows: int) -> Array:
    """Images that tell their own row."""
    return np.arange(rows * 12, dtype=np.uint8).reshape(rows, 2, 2, 3)


@given(
    sizes=st.lists(st.integers(0, 7), min_size=1, max_size=5),
    bounds=st.tuples(st.integers(-40, 40) | st.none(), st.integers(-40, 40) | st.none()),
    seed=st.integers(0, 99),
)
def test_shards_are_indexed_like_one_array(sizes: list[int], bounds: tuple[int | None, int | None], seed: int) -> None:
    whole = numbered(sum(sizes))
    images = Sharded(np.split(whole, np.cumsum(sizes)[:-1]))
    assert images.shape == whole.shape
    assert len(images) == len(whole)
    assert np.array_equal(images[slice(*bounds)], whole[slice(*bounds)])
    rows = np.random.default_rng(seed).integers(0, max(len(whole), 1), 20 if len(whole) else 0)
    assert np.array_equal(images[rows], whole[rows])
    assert np.array_equal(Chosen(images, rows)[1:9], whole[rows][1:9])
    assert Chosen(images, rows).shape == whole[rows].shape


def test_what_is_read_from_shards_may_be_changed_without_changing_them() -> None:
    whole = numbered(6)
    images = Sharded([whole[:4], whole[4:]])
    for rows in (slice(1, 3), slice(3, 6), np.array([0, 5])):
        images[rows][:] = 255
    assert np.array_equal(whole, numbered(6))


def test_rows_that_shards_do_not_have_are_refused() -> None:
    images = Sharded([numbered(4), numbered(2)])
    for row in (-1, 6):
        with pytest.raises(IndexError, match=r"not all among 0\.\.5"):
            images[np.array([0, row])]
    with pytest.raises(TypeError, match="rows must be whole numbers, not bool"):
        images[np.ones(6, bool)]
    with pytest.raises(TypeError, match="has no step, and this one has 2"):
        images[::2]


@pytest.mark.parametrize("pieces", [[23], [1, 22], [0, 7, 5, 0, 11], [10, 10, 3]])
def test_shards_do_not_depend_on_how_the_images_arrive(
    pieces: list[int], make_split: Callable[..., Split], tmp_path: Path
) -> None:
    split = make_split(23)
    images = np.asarray(split.images)
    stream = Stream("here", split.labels, lambda: iter(np.split(images, np.cumsum(pieces)[:-1])))
    shape, hashes = shards.write(tmp_path / "a", stream, 10)
    assert shards.write(tmp_path / "b" / "a", split, 10) == (shape, hashes)
    assert shape == images.shape
    files.write_json(tmp_path / "m.json", {"classes": CLASSES, "files": hashes})
    read = shards.read(tmp_path / "m.json", "a")
    assert np.array_equal(read.images[:], images)
    assert np.array_equal(read.labels, split.labels)
    for number, start in enumerate((0, 10, 20)):
        assert np.array_equal(np.load(tmp_path / "a" / f"images-{number:05d}.npy"), images[start : start + 10])


def test_shards_hold_every_image_or_are_not_written(make_split: Callable[..., Split], tmp_path: Path) -> None:
    split = make_split(9)
    images = np.asarray(split.images)

    def write(*chunks: Array) -> None:
        shards.write(tmp_path / "out", Stream("here", split.labels, lambda: iter(chunks)), 5)

    with pytest.raises(ValueError, match="3 rows were written of 4"):
        write(images[:8])
    with pytest.raises(ValueError, match="here: there are more images than the 9 labels"):
        write(images, images[:1])
    with pytest.raises(UserError, match="here: there are no images"):
        write()


# ---- what a reader gives


def stream_of(images: list[Array], labels: list[int]) -> Stream:
    return Stream("root, train split", np.array(labels, np.int64), lambda: iter(images))


def consume(stream: Stream, shape: tuple[int, int, int] = (2, 2, 3)) -> Array:
    return np.concatenate(list(streams.checked(stream, shape, CLASSES).chunks()))


def test_a_stream_that_is_as_described_passes_unchanged() -> None:
    stream = stream_of([numbered(4)[:3], numbered(4)[3:]], [2, 1, 0, 2])
    for _ in range(2):  # afresh at every call
        assert np.array_equal(consume(stream), numbered(4))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ([numbered(3)], [0, 1, 3], r"root, train split, row 2: label 3 is outside 0\.\.2 \(3 classes\)"),
        ([numbered(3)], [0, -1, 2], r"row 1: label -1 is outside 0\.\.2"),
        ([numbered(3)], [0, 1, 1], r"root, train split: class 2 \('owl'\) has no images"),
        ([numbered(2), numbered(1)[:, :1]], [0, 1, 2], r"\(height, width, channels\) \(1, 2, 3\), not \(2, 2, 3\)"),
        ([numbered(2), numbered(1)[..., :1]], [0, 1, 2], r"\(2, 2, 1\), not \(2, 2, 3\)"),
        ([numbered(2)], [0, 1, 2], "root, train split: 2 images for 3 labels"),
        ([numbered(2), numbered(2)], [0, 1, 2], "root, train split: more images than the 3 labels"),
    ],
)
def test_a_stream_that_is_not_as_described_is_named_and_refused(
    images: list[Array], labels: list[int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        consume(stream_of(images, labels))


def test_labels_are_refused_before_any_image_is_decoded() -> None:
    def chunks() -> Iterator[Array]:
        raise AssertionError("an image was asked for")

    with pytest.raises(UserError, match="class 0"):
        streams.checked(Stream("here", np.array([1, 2]), chunks), (2, 2, 3), CLASSES)


def test_the_stream_of_a_split_holds_its_images_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHUNK_BYTES", 40)  # three images of 12 bytes
    chunks = list(streams.of_split(Split(numbered(7), np.zeros(7, np.int64), CLASSES), "here").chunks())
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert np.array_equal(np.concatenate(chunks), numbered(7))


# ---- the stored dataset


def test_a_stored_dataset_is_read_back(make_split: Callable[..., Split], store: Callable[..., Path]) -> None:
    made = make_split(23)
    folder = store(made)
    train = shards.load(folder, "train")
    assert np.array_equal(train.images[:], made.images[:])
    assert np.array_equal(train.labels, made.labels)
    assert train.classes == made.classes
    assert sorted(path.name for path in (folder / "train").iterdir()) == [
        *(f"images-{n:05d}.npy" for n in range(3)),
        "labels.npy",
    ]


def test_a_subset_may_leave_out_all_images_of_a_piece(
    store: Callable[..., Path], make_split: Callable[..., Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "chunk_rows", lambda shape: 2)
    made = make_split(60)
    stored = shards.load(store(made, train_images=3), "train")
    assert sorted(stored.labels.tolist()) == [0, 1, 2]
    assert all((made.images == image).all((1, 2, 3)).any() for image in stored.images[:])


def test_the_identity_of_a_dataset_is_that_of_its_training_images_and_labels(
    make_split: Callable[..., Split], store: Callable[..., Path]
) -> None:
    made = make_split(23)
    pixel = made.images[:].copy()
    pixel[22, 7, 7, 0] ^= 1
    changed = Split(pixel, made.labels, made.classes)
    relabelled = Split(made.images, np.roll(made.labels, 1), made.classes)
    identities = [shards.identity(store(split, f"d{n}")) for n, split in enumerate([made, made, changed, relabelled])]
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3


@pytest.mark.parametrize("damage", ["one bit", "truncated", "missing"])
def test_a_stored_dataset_that_was_damaged_is_refused(
    damage: str, make_split: Callable[..., Split], store: Callable[..., Path]
) -> None:
    path = store(make_split(23)) / "test" / "images-00001.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: -1 if damage == "truncated" else None])
    with pytest.raises(UserError, match=r"images-00001\.npy: .*(checksum mismatch|the file is missing)"):
        shards.load(path.parents[1], "test")


def test_images_that_stand_in_both_splits_are_counted_and_named(
    make_split: Callable[..., Split], store: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    train, test = make_split(30), make_split(25, seed=1)
    shown = test.images[:].copy()
    shown[[3, 4, 20]] = train.images[np.array([7, 7, 29])]
    twice = train.images[:].copy()
    twice[11] = twice[7]  # within one split it is not counted, and the first is the one that is named
    folder = store(Split(twice, train.labels, CLASSES), test=Split(shown, test.labels, CLASSES))
    found = json.loads((folder / "manifest.json").read_bytes())["duplicates"]
    assert found == {"count": 3, "pairs": [[7, 3], [7, 4], [29, 20]]}
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "3 of the 25 test images are also in the training split" in warnings[0]
    assert "training image 7 is test image 3" in warnings[0]


def test_one_pixel_makes_another_image(
    make_split: Callable[..., Split], store: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    train = make_split(30)
    shown = train.images[:] ^ (np.arange(64) == 63).astype(np.uint8).reshape(8, 8, 1)
    folder = store(train, test=Split(shown, train.labels, CLASSES))
    assert json.loads((folder / "manifest.json").read_bytes())["duplicates"] == {"count": 0, "pairs": []}
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_a_stratified_order_is_a_permutation(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))


# ---- memory: a process that may not allocate what a dataset holds

MIB = 2**20
ALLOWANCE = 112 * MIB
SHAPE = (224, 224, 3)
STORED, PUBLISHED = 2100, 900  # images: 301 and 129 MiB
SCRIPT = """
import json, resource, sys
from pathlib import Path
import numpy as np, torch
from unlearnable import arrays, files
from unlearnable.bounds import linf
from unlearnable.compute import device_batches as feed, memory
from unlearnable.datasets import shards, stream as streams
from unlearnable.datasets.protected import load_protected
from unlearnable.datasets.split import shard_rows
from unlearnable.stages.merge_noise import merge
from unlearnable.stages.perturbed_dataset import publish
from tests.unit.given import noise_settings, perturbed_settings

folder, allowance, shape, stored, publishing = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
classes = ["a", "b", "c"]

def stream(rows):
    def chunks():
        for start in range(0, rows, 10):
            levels = np.arange(start, min(start + 10, rows)) % 200 + 20
            yield np.broadcast_to(levels.astype(np.uint8)[:, None, None, None], (len(levels), *shape))

    return streams.checked(streams.Stream("generated", np.arange(rows) % 3, chunks), tuple(shape), classes)

def store(name, rows):
    (rows, *shape), hashes = shards.write(folder / name / "train", stream(rows), 1000)
    files.write_json(folder / name / "manifest.json", {
        "train": {"rows": rows, "shape": shape}, "classes": classes, "files": hashes,
    })
    return shards.load(folder / name, "train")

def fails_whole(split):
    try:
        return np.array(split.images[:]).nbytes
    except MemoryError:
        return "MemoryError"

status = Path("/proc/self/status").read_text().splitlines()
used = 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + allowance, used + allowance))
found = {}

split = store("stored", stored)
found["stored whole"] = fails_whole(split)
memory.free_bytes = lambda device: 0  # as on a machine that the images do not fit into: reading ahead
order = np.array_split(np.random.default_rng(0).permutation(stored), stored // 32)
seen = [(x[:, 0, 0, 0].clone(), rows) for x, _, rows in feed.Feed(split, torch.device("cpu")).batches(order)]
found["epoch"] = all(torch.equal(x, (rows % 200 + 20).to(torch.uint8)) for x, rows in seen) and len(seen) == len(order)

split = store("clean", publishing)
found["published whole"] = fails_whole(split)
names, metrics = [str(folder / f"{n}.npy") for n in range(2)], [str(folder / f"{n}.json") for n in range(2)]
for number in range(2):
    rows = shard_rows(publishing, 32, number, 2)
    with arrays.stream_array(names[number], (len(rows), *shape), np.int8) as file:
        for row in rows:
            file.write(np.full((1, *shape), row % 17 - 8, np.int8))
    measured = {"passes": 0, "seconds": 0, "peak_memory_bytes": 0, "device": "", "files": files.hashes(names[number])}
    files.write_json(metrics[number], measured)
out = [folder / "noise" / name for name in ("noise.npy", "manifest.json", "metrics.json")]
bound = {"bound": linf(8).plain()}
merge(noise_settings(**{"pass": {"batch_size": 32}} | bound), folder / "clean", names, metrics, *out)
found["noise"] = files.read_json(out[1])["largest"]

settings = perturbed_settings(**{"rows_per_parquet": 400, "rows_per_shard": 400} | bound)
paths = [folder / "out" / name for name in ("parquet", "shards", "manifest.json", "metrics.json")]
publish(settings, folder / "clean", folder / "noise", *paths)
victim = load_protected(folder / "out")
rows = np.array([0, 1, 555, 899])
found["published"] = (victim.images[rows][:, 5, 5, 0] == rows % 200 + 20 + rows % 17 - 8).all().item()
found["bound"] = files.read_json(paths[2])["bound"]["largest"]
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts all anonymous memory under RLIMIT_DATA")
def test_datasets_larger_than_memory_are_stored_read_merged_and_published(tmp_path: Path) -> None:
    arguments = [str(tmp_path), *map(json.dumps, (ALLOWANCE, SHAPE, STORED, PUBLISHED))]
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, env=environment)
    for path in tmp_path.rglob("*.npy"):  # a gigabyte that pytest would keep
        path.unlink()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "stored whole": "MemoryError",
        "epoch": True,
        "published whole": "MemoryError",
        "noise": 8,
        "published": True,
        "bound": 8.0,
    }
