"""The protected dataset: which images carry noise, how it is added, and what readers of the files see."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as array_of
from PIL import Image

from unlearnable import arrays, bounds, files
from unlearnable.bounds import Bound
from unlearnable.datasets import encoded, protected_parquet, shards
from unlearnable.datasets import protected as protected_data
from unlearnable.datasets import stream as streams
from unlearnable.datasets.protected import apply_noise, protected_rows
from unlearnable.datasets.protected_parquet import Measured
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.settings import plain
from unlearnable.stages.perturbed_dataset import publish

from ..given import noise_settings, perturbed_settings

ROWS = 18
RHO_U = 8
BOUND = bounds.linf(RHO_U)


# ---- adding the noise


@given(
    images=array_of(np.uint8, (3, 4, 4, 1)),
    noise=array_of(np.int8, (3, 4, 4, 1)),
    protected=array_of(bool, 3),
)
def test_published_pixels_are_the_clipped_sum(images: Array, noise: Array, protected: Array) -> None:
    changed = apply_noise(images, noise, protected)
    assert changed.dtype == np.uint8
    for index in np.ndindex(images.shape):
        d = int(noise[index]) if protected[index[0]] else 0
        assert int(changed[index]) == min(max(int(images[index]) + d, 0), 255)


@given(rho_u=st.integers(0, 255), seed=st.integers(0, 1000))
def test_no_pixel_changes_by_more_than_the_radius(rho_u: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    images = draws.integers(0, 256, (4, 5, 5, 3), np.uint8)
    noise = draws.integers(-rho_u, rho_u + 1, images.shape, np.int16)
    changed = apply_noise(images, noise, np.ones(4, bool))
    assert np.abs(changed.astype(int) - images).max() <= rho_u


def test_negative_noise_darkens() -> None:
    images = np.full((1, 2, 2, 1), 100, np.uint8)
    assert (apply_noise(images, np.full(images.shape, -5, np.int8), np.ones(1, bool)) == 95).all()
    assert (apply_noise(images // 50, np.full(images.shape, -5, np.int8), np.ones(1, bool)) == 0).all()


def test_zero_noise_leaves_the_bytes_unchanged() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    changed = apply_noise(images, np.zeros(images.shape, np.int8), np.ones(1, bool))
    assert changed.tobytes() == images.tobytes()


def test_the_clean_images_are_not_changed_in_place() -> None:
    images = np.full((1, 2, 2, 1), 100, np.uint8)
    apply_noise(images, np.full(images.shape, 7, np.int8), np.ones(1, bool))
    assert (images == 100).all()


# ---- the protected share

labels_of_any_kind = st.lists(st.integers(0, 4), min_size=1, max_size=200).map(np.array)


@given(labels=labels_of_any_kind, percent=st.integers(0, 100), seed=st.integers(0, 2**31))
def test_the_protected_share_is_exact(labels: Array, percent: int, seed: int) -> None:
    protected = protected_rows(labels, percent, seed)
    assert protected.dtype == bool
    assert abs(int(protected.sum()) - len(labels) * percent / 100) <= 0.5


@given(labels=labels_of_any_kind, percents=st.tuples(st.integers(0, 100), st.integers(0, 100)), seed=st.integers(0, 99))
def test_smaller_protected_sets_lie_in_larger_ones(labels: Array, percents: tuple[int, int], seed: int) -> None:
    small, large = (protected_rows(labels, percent, seed) for percent in sorted(percents))
    assert not (small & ~large).any()


@given(
    classes=st.integers(2, 8),
    each=st.integers(1, 40),
    percent=st.integers(0, 100),
    seed=st.integers(0, 2**31),
)
def test_every_class_is_protected_alike(classes: int, each: int, percent: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), each))
    counts = np.bincount(labels[protected_rows(labels, percent, seed)], minlength=classes)
    assert counts.max() - counts.min() <= 1
    assert np.abs(counts - each * percent / 100).max() <= 1


@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=8),
    percent=st.integers(0, 100),
    seed=st.integers(0, 2**31),
)
def test_classes_of_unequal_size_are_protected_in_proportion(sizes: list[int], percent: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    counts = np.bincount(labels[protected_rows(labels, percent, seed)], minlength=len(sizes))
    each = np.array(sizes)
    total = len(labels)
    tolerance = 1 + (len(sizes) + 0.5) * each / total  # one image, and the class's share of the others' one image each
    assert (np.abs(counts - each * percent / 100) <= tolerance).all()


def test_the_protected_set_follows_the_seed_alone() -> None:
    labels = np.arange(100) % 5
    first, again, other = (protected_rows(labels, 40, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# ---- the files


def noise_folder(source: Path, noise: Array) -> Path:
    """A merged noise, made for the dataset in ``source``."""
    folder = source.with_name(f"{source.name}-noise")
    arrays.write_array(folder / "noise.npy", noise)
    manifest = {"dataset": shards.identity(source), "files": files.hashes(folder / "noise.npy")}
    files.write_json(folder / "manifest.json", manifest)
    return folder


def own_noise(train: Split) -> Array:
    """A different noise for every image, of both signs, that reaches the radius."""
    return np.random.default_rng(1).integers(-RHO_U, RHO_U + 1, train.images.shape, np.int8)


def run_publish(
    source: Path, noise: Path | None, target: Path, /, bound: Bound = BOUND, threads: int = 1, **changes: Any
) -> list[Path]:
    """Publish into ``target``, without a noise the clean images; gives the Parquet files."""
    own = {"protected": 100 if noise else 0, "method": "rem" if noise else "clean", "bound": bound.plain()}
    publish(
        perturbed_settings(**own | changes),
        source,
        noise,
        target / "parquet",
        target / "shards",
        target / "manifest.json",
        target / "metrics.json",
        threads,
    )
    return sorted((target / "parquet").glob("*.parquet"))


def grey_split(make_split: Callable[..., Split], channels: int = 1) -> Split:
    """Images far from both ends of the range, so that no noise is clipped."""
    train = make_split(ROWS, channels)
    return Split(train.images[:] // 2 + 60, train.labels, train.classes)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_carries_its_own_noise_and_not_its_classs(
    channels: int, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = grey_split(make_split, channels)
    source, noise = store(train), own_noise(train)
    run_publish(source, noise_folder(source, noise), tmp_path / "out")
    victim = protected_data.load_protected(tmp_path / "out")
    assert np.array_equal(victim.images[:].astype(int) - train.images[:], noise)
    assert np.array_equal(victim.labels, train.labels)
    assert victim.classes == train.classes


def test_pandas_reads_the_same_images_labels_and_class_names(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = make_split(ROWS)
    source = store(train)
    paths = run_publish(source, noise_folder(source, own_noise(train)), tmp_path / "out", protected=50)
    assert [path.name for path in paths] == [f"train-{n:05d}-of-00003.parquet" for n in range(3)]
    frames = [pd.read_parquet(path) for path in paths]
    assert all(frame.attrs["classes"] == train.classes for frame in frames)
    frame = pd.concat(frames)
    pixels = [np.asarray(Image.open(io.BytesIO(image["bytes"])))[..., None] for image in frame["image"]]
    protected = protected_rows(train.labels, 50, 0)
    assert np.array_equal(np.stack(pixels), apply_noise(train.images[:], own_noise(train), protected))
    assert np.array_equal(np.stack(pixels), protected_data.load_protected(tmp_path / "out").images[:])
    assert frame["label"].tolist() == train.labels.tolist()
    assert frame["index"].tolist() == list(range(ROWS))
    assert frame["protected"].tolist() == protected.tolist()


@pytest.mark.parametrize("channels", [1, 3])
def test_datasets_reads_images_and_class_names(
    channels: int, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    datasets: Any = importlib.import_module("datasets")  # its own types do not cover what is used here
    train = make_split(ROWS, channels)
    source = store(train)
    paths = run_publish(source, noise_folder(source, own_noise(train)), tmp_path / "out")
    read = datasets.load_dataset(
        "parquet", data_files=list(map(str, paths)), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert isinstance(read.features["image"], datasets.Image)
    assert isinstance(read.features["label"], datasets.ClassLabel)
    assert read.features["label"].names == train.classes
    pixels = np.stack([np.asarray(row["image"]).reshape(train.images.shape[1:]) for row in read])
    assert np.array_equal(pixels, protected_data.load_protected(tmp_path / "out").images[:])
    assert list(read["label"]) == train.labels.tolist()


@pytest.mark.parametrize("percent", [0, 20, 50, 100])
def test_only_the_protected_images_change_and_no_label_does(
    percent: int, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = grey_split(make_split)
    source = store(train)
    noise = np.full(train.images.shape, -RHO_U, np.int8)
    run_publish(source, noise_folder(source, noise), tmp_path / "out", protected=percent)
    victim = protected_data.load_protected(tmp_path / "out")
    changed = (victim.images[:] != train.images[:]).any((1, 2, 3))
    assert np.array_equal(changed, protected_rows(train.labels, percent, 0))
    assert np.array_equal(victim.labels, train.labels)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["protected_rows"] == int(changed.sum()) == round(ROWS * percent / 100)
    assert manifest["largest_change"] == (RHO_U if percent else 0)
    assert manifest["bound"] == {"norm": "linf", "radius": RHO_U, "unit": "1/255", "largest": RHO_U if percent else 0}
    assert manifest["rows"] == ROWS


@pytest.mark.parametrize("with_noise", [True, False])
def test_without_noise_the_published_bytes_are_the_clean_ones(
    with_noise: bool, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = make_split(ROWS)
    source = store(train)
    noise = noise_folder(source, np.zeros(train.images.shape, np.int8)) if with_noise else None
    run_publish(source, noise, tmp_path / "out", bounds.linf(0))
    assert protected_data.load_protected(tmp_path / "out").images[:].tobytes() == train.images[:].tobytes()


def test_a_dataset_whose_noise_is_zero_does_not_read_as_protected(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = make_split(ROWS)
    source = store(train)
    noise = noise_folder(source, np.zeros(train.images.shape, np.int8))
    paths = run_publish(source, noise, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["protected_rows"] == manifest["share_protected"] == manifest["largest_change"] == 0
    assert not pd.concat([pd.read_parquet(path) for path in paths])["protected"].any()
    assert f"{noise}: the noise is zero in every image, so this dataset protects nothing" in caplog.text


@pytest.mark.parametrize(
    ("method", "control"),
    [({"algorithm": "random"}, True), ({"algorithm": "shuffled", "of": "em"}, True), ({"algorithm": "ops"}, False)],
)
def test_a_dataset_with_a_controls_noise_does_not_read_as_protection(
    method: dict[str, str],
    control: bool,
    make_split: Callable[..., Split],
    store: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    train = make_split(ROWS)
    source = store(train)
    of_noise = noise_settings(method=method, network=None, stem=None)
    run_publish(source, noise_folder(source, own_noise(train)), tmp_path / "out", method="own", noise=plain(of_noise))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest.get("control") == (True if control else None)
    assert ("own: a control to compare with, not protection" in caplog.text) == control


@pytest.mark.parametrize("descent", [None, {"loss_at_start": 2.5, "loss": 0.25}])
def test_the_manifest_tells_how_far_the_noise_lowers_the_loss_if_that_was_measured(
    descent: dict[str, float] | None, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = make_split(ROWS)
    source = store(train)
    noise = noise_folder(source, own_noise(train))
    made = files.read_json(noise / "manifest.json")
    files.write_json(noise / "manifest.json", made | ({} if descent is None else {"descent": descent}))
    run_publish(source, noise, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["descent"] == descent
    run_publish(source, None, tmp_path / "clean")
    assert json.loads((tmp_path / "clean" / "manifest.json").read_bytes())["descent"] is None


def test_publishing_twice_gives_the_same_bytes(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = make_split(ROWS)
    source = store(train)
    noise = noise_folder(source, own_noise(train))
    first, second = (run_publish(source, noise, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert (tmp_path / "a/manifest.json").read_bytes() == (tmp_path / "b/manifest.json").read_bytes()


@pytest.mark.parametrize("percent", [20, 50, 90])
def test_the_clean_rest_is_what_the_protected_set_leaves(
    percent: int, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = make_split(ROWS)
    paths = run_publish(store(train), None, tmp_path / "out", protected=percent, seed=3)
    rest = np.flatnonzero(~protected_rows(train.labels, percent, 3))
    victim = protected_data.load_protected(tmp_path / "out")
    assert 0 < len(rest) == ROWS - round(ROWS * percent / 100)
    assert np.array_equal(victim.images[:], train.images[:][rest])
    assert np.array_equal(victim.labels, train.labels[rest])
    frame = pd.concat([pd.read_parquet(path) for path in paths])
    pixels = [np.asarray(Image.open(io.BytesIO(image["bytes"])))[..., None] for image in frame["image"]]
    assert np.array_equal(np.stack(pixels), train.images[:][rest])
    assert frame["index"].tolist() == rest.tolist()  # rows of the clean dataset, so that the two parts can be joined
    assert [image["path"] for image in frame["image"]] == [f"{row:06d}.png" for row in rest]
    assert frame["label"].tolist() == train.labels[rest].tolist()
    assert not frame["protected"].any()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["rows"] == len(rest)
    assert manifest["shape"] == list(train.images.shape[1:])
    assert manifest["protected_rows"] == manifest["share_protected"] == manifest["largest_change"] == 0


def test_the_rest_of_a_wholly_protected_dataset_cannot_be_published(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="there are no images"):
        run_publish(store(make_split(ROWS)), None, tmp_path / "out", protected=100)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("threads", [1, 4])
def test_files_written_piece_by_piece_have_the_bytes_of_files_written_at_once(
    channels: int,
    threads: int,
    make_split: Callable[..., Split],
    encode_png: Callable[[Array], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "CHUNK_BYTES", 3 * 64 * channels)
    monkeypatch.setattr(protected_parquet, "ROW_GROUP", 8)
    monkeypatch.setattr(encoded, "WORTH_A_THREAD", 0)
    train, protected = make_split(ROWS, channels), np.arange(ROWS) % 3 == 0
    protected_parquet.write_parquet(tmp_path, train, protected, ROWS, threads=threads)
    columns = {
        "image": [{"bytes": encode_png(image), "path": f"{n:06d}.png"} for n, image in enumerate(train.images[:])],
        "label": train.labels,
        "index": np.arange(ROWS),
        "protected": protected,
    }
    table = pa.Table.from_pydict(columns, schema=protected_parquet.schema(train.classes))
    pq.write_table(table, tmp_path / "at-once.parquet", compression="none", row_group_size=8)
    written = (tmp_path / "train-00000-of-00001.parquet").read_bytes()
    assert written == (tmp_path / "at-once.parquet").read_bytes()
    assert pq.ParquetFile(tmp_path / "train-00000-of-00001.parquet").num_row_groups == 3


def test_threads_change_no_byte(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded, "WORTH_A_THREAD", 0)
    train = make_split(ROWS)
    source = store(train)
    noise = noise_folder(source, own_noise(train))
    for threads in (1, 3):
        run_publish(source, noise, tmp_path / str(threads), threads=threads)
    assert (tmp_path / "1/manifest.json").read_bytes() == (tmp_path / "3/manifest.json").read_bytes()


@pytest.fixture
def one_changed(make_split: Callable[..., Split], store: Callable[..., Path]) -> Callable[[int], tuple[Path, Array]]:
    """``one_changed(pixels)``: a stored dataset, and a noise that darkens so many pixels of image 11 by 100."""

    def made(pixels: int) -> tuple[Path, Array]:
        drawn = make_split(ROWS)
        train = Split(np.full((ROWS, 8, 8, 1), 120, np.uint8), drawn.labels, drawn.classes)
        noise = np.zeros(train.images.shape, np.int8)
        noise[11].flat[:pixels] = -100
        return store(train), noise

    return made


@pytest.mark.parametrize(
    ("bound", "pixels", "largest"),
    [
        (bounds.l0(3), 3, 3.0),
        (bounds.l2(1.0), 6, 100 / 255 * 6**0.5),
        (bounds.unbounded(), 64, 100.0),
    ],
)
def test_the_largest_change_is_recorded_in_the_norm_of_the_bound(
    bound: Bound,
    pixels: int,
    largest: float,
    one_changed: Callable[[int], tuple[Path, Array]],
    tmp_path: Path,
) -> None:
    source, noise = one_changed(pixels)
    run_publish(source, noise_folder(source, noise), tmp_path / "out", bound)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["bound"] == bound.plain() | {"largest": pytest.approx(largest)}
    assert manifest["largest_change"] == 100


@pytest.mark.parametrize(
    ("bound", "pixels", "message"),
    [
        (bounds.l0(3), 4, "index 11: a change of 4 is beyond the bound, l0 3"),
        (bounds.l2(1.0), 7, r"index 11: a change of 1\.037\d+ is beyond the bound, l2 1 "),
    ],
)
def test_an_image_beyond_a_bound_of_another_norm_is_not_published(
    bound: Bound,
    pixels: int,
    message: str,
    one_changed: Callable[[int], tuple[Path, Array]],
    tmp_path: Path,
) -> None:
    source, noise = one_changed(pixels)
    with pytest.raises(UserError, match=message):
        run_publish(source, noise_folder(source, noise), tmp_path / "out", bound)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_noise_of_two_bytes_reaches_every_grey_level(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = make_split(ROWS)
    source = store(train)
    noise = np.where(train.images[:] < 128, 255, -255).astype(np.int16)
    run_publish(source, noise_folder(source, noise), tmp_path / "out", bounds.linf(255))
    published = protected_data.load_protected(tmp_path / "out").images[:]
    assert np.array_equal(published, np.where(train.images[:] < 128, 255, 0))


# ---- what is refused


def test_a_noise_made_for_another_dataset_is_refused(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    source, other = store(make_split(ROWS)), store(make_split(ROWS, seed=1), "other")
    noise = noise_folder(other, own_noise(make_split(ROWS)))
    with pytest.raises(UserError, match=r"other-noise: this noise was made for another dataset than .*dataset"):
        run_publish(source, noise, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_noise_for_other_labels_of_the_same_images_is_refused(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = make_split(ROWS)
    source, other = store(train), store(Split(train.images, train.labels[::-1], train.classes), "other")
    with pytest.raises(UserError, match="another dataset"):
        run_publish(source, noise_folder(other, own_noise(train)), tmp_path / "out")


def test_noise_beyond_the_radius_is_not_published(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = grey_split(make_split)
    source, noise = store(train), own_noise(train)
    noise[4, 2, 2, 0] = RHO_U + 1
    with pytest.raises(UserError, match=rf"index 4: a change of {RHO_U + 1} is beyond the bound, linf {RHO_U} 1/255"):
        run_publish(source, noise_folder(source, noise), tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    "name", ["dataset-noise/noise.npy", "dataset/train/images-00001.npy", "dataset/train/labels.npy"]
)
@pytest.mark.parametrize("damage", ["one bit", "truncated", "missing"])
def test_a_damaged_file_is_named_and_refused(
    name: str, damage: str, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    train = make_split(ROWS)
    source = store(train)
    noise = noise_folder(source, own_noise(train))
    break_file(tmp_path / name, damage)
    expected = "missing" if damage == "missing" else "checksum mismatch"
    with pytest.raises(UserError, match=rf"{Path(name).name}: .*{expected}"):
        run_publish(source, noise, tmp_path / "out")


@pytest.mark.parametrize("damage", ["one bit", "truncated", "missing"])
def test_a_victim_does_not_read_damaged_images(
    damage: str, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    run_publish(store(make_split(ROWS)), None, tmp_path / "out", bounds.linf(0))
    break_file(tmp_path / "out/shards/images-00002.npy", damage)
    with pytest.raises(UserError, match=r"images-00002\.npy"):
        protected_data.load_protected(tmp_path / "out")


def break_file(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[:-1])
    else:
        content[-1] ^= 1
        path.write_bytes(content)


@pytest.mark.parametrize("index", [None, np.arange(ROWS) * 3 + 1])
def test_what_was_written_is_measured_and_not_what_was_meant(
    index: Array | None, make_split: Callable[..., Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CHUNK_BYTES", 5 * 64)  # pieces of five images
    train = grey_split(make_split)
    unprotected = np.zeros(ROWS, bool)

    def measured(split: Split, protected: Array = unprotected) -> Measured:
        places = None if index is None else index[: len(split.labels)]
        names = protected_parquet.write_parquet(tmp_path, split, protected[: len(split.labels)], ROWS, places)
        return protected_parquet.measure(tmp_path, list(names), train, protected, bounds.linf(2), index)

    def name(row: int) -> int:
        return row if index is None else int(index[row])

    assert measured(train) == Measured(ROWS, 0, 0.0)
    changed = train.images[:].copy()
    changed[13, 0, 0, 0] += 2
    assert measured(Split(changed, train.labels, train.classes), ~unprotected) == Measured(ROWS, 2, 2.0)
    with pytest.raises(UserError, match=rf"index {name(13)}: an unprotected image changed by 2/255"):
        measured(Split(changed, train.labels, train.classes))
    changed[13, 0, 0, 0] += 1
    with pytest.raises(UserError, match=rf"index {name(13)}: a change of 3 is beyond the bound, linf 2 1/255"):
        measured(Split(changed, train.labels, train.classes), ~unprotected)
    with pytest.raises(UserError, match=rf"index {name(0)}: row 0 has index {name(0)} and label"):
        measured(Split(train.images, np.roll(train.labels, 1), train.classes))
    with pytest.raises(UserError, match=f"{ROWS - 1} rows were written of {ROWS}"):
        measured(Split(train.images[:][:-1], train.labels[:-1], train.classes))


def test_rows_that_are_repeated_or_out_of_place_are_refused(make_split: Callable[..., Split], tmp_path: Path) -> None:
    train = grey_split(make_split)
    for places in (np.arange(ROWS)[::-1], np.minimum(np.arange(ROWS), ROWS - 2)):
        names = protected_parquet.write_parquet(tmp_path, train, np.zeros(ROWS, bool), ROWS, places)
        with pytest.raises(UserError, match=r"row \d+ has index \d+ and label \d; write the dataset again"):
            protected_parquet.measure(tmp_path, list(names), train, np.zeros(ROWS, bool), BOUND)
    names = protected_parquet.write_parquet(tmp_path, train, np.zeros(ROWS, bool), ROWS)
    with pytest.raises(UserError, match=rf"row {ROWS} has index 0"):
        protected_parquet.measure(tmp_path, [*names, *names], train, np.zeros(ROWS, bool), BOUND)


def test_images_in_the_parquet_files_are_lossless_png(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    paths = run_publish(store(make_split(ROWS, 3)), None, tmp_path / "out", bounds.linf(0))
    image = pq.read_table(paths[0])["image"][0].as_py()
    assert image["bytes"].startswith(b"\x89PNG")
    assert image["path"] == "000000.png"
