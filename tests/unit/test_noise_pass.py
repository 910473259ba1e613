"""The noise of every image, shard by shard, and the shards made one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearnable import draws, files, models
from unlearnable.batches import shard_rows
from unlearnable.data import dataset
from unlearnable.data.images import Array, Split
from unlearnable.errors import Stopped, UserError
from unlearnable.merge import join, merge
from unlearnable.noise_pass import make_shard
from unlearnable.resume import Loop

CPU = torch.device("cpu")
ROWS, BATCH = 18, 4  # five batches, the last one of two images


def config(**changes: Any) -> dict[str, Any]:
    return {
        "pass": {"batch_size": BATCH, "precision": "float32"},
        "method": {"algorithm": "rem", "k_u": 2, "alpha_u": 0.6, "k_a": 1, "alpha_a": 0.6, "j": 2},
        "network": "small-cnn",
        "stem": "cifar",
        "augmentation": {"flip": True, "crop_padding": 1},
        "rho_u": 8,
        "rho_a": 4,
        "seed": 0,
    } | changes


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    models.save(models.create("small-cnn", 1, 3, 8, 5, CPU), path)
    return path


def shard_files(
    folder: Path, train: Split, model: Path, shards: int, settings: dict[str, Any], loop: Loop | None = None
) -> list[Path]:
    """Compute all shards; gives their files."""
    paths = [folder / f"noise-{shard}-of-{shards}.npy" for shard in range(shards)]
    for shard, path in enumerate(paths):
        measures = path.with_suffix(".json")
        make_shard(settings, train, model, shard, shards, loop or Loop(), CPU, path, measures)
    return paths


def whole(paths: list[Path], settings: dict[str, Any], train: Split) -> Array:
    parts = [files.read_array(path) for path in paths]
    return join(parts, list(map(str, paths)), train.images.shape, settings["pass"]["batch_size"], settings["rho_u"])


def digest(noise: Array) -> str:
    return hashlib.sha256(repr((noise.dtype, noise.shape)).encode() + noise.tobytes()).hexdigest()


# ---- the pass


def test_the_shard_count_changes_no_byte(make_split: Callable[..., Split], model: Path, tmp_path: Path) -> None:
    train = make_split(ROWS)
    noises = [whole(shard_files(tmp_path, train, model, n, config()), config(), train) for n in (1, 2, 3, 7)]
    assert len({digest(noise) for noise in noises}) == 1
    assert noises[0].shape == train.images.shape
    assert noises[0].dtype == np.int8
    assert all(np.abs(image).max() > 0 for image in noises[0])


def test_passes_are_counted_over_all_shards(make_split: Callable[..., Split], model: Path, tmp_path: Path) -> None:
    train = make_split(ROWS)
    for shards in (1, 7):
        paths = shard_files(tmp_path, train, model, shards, config())
        passes = [files.read_json(path.with_suffix(".json"))["passes"] for path in paths]
        assert sum(passes) == 5 * 2 * 2 * (1 + 1)  # batches * K_u * J * (K_a + 1)


METHODS: dict[str, dict[str, Any]] = {
    "em": {"algorithm": "em", "k_u": 2},
    "tap": {"algorithm": "tap", "steps": 2, "restarts": 2},
    "sem": config()["method"] | {"algorithm": "sem"},
    "rem": config()["method"],
}


@pytest.mark.parametrize("algorithm", METHODS)
def test_the_batch_size_changes_nothing_beyond_rounding(
    algorithm: str, make_split: Callable[..., Split], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draws, "BLOCK", 5)  # batches of less than a block, of parts of two, of several
    train = make_split(ROWS)
    noises = []
    for batch_size in (5, 3, 4, 7, ROWS, 2 * ROWS):
        settings = config(method=METHODS[algorithm])
        settings["pass"] = settings["pass"] | {"batch_size": batch_size}
        noises.append(whole(shard_files(tmp_path, train, model, 1, settings), settings, train))
    assert all((noise == noises[0]).mean() >= 0.999 for noise in noises)


@pytest.mark.parametrize("algorithm", METHODS)
def test_equal_seeds_give_equal_bytes_and_others_give_others(
    algorithm: str, make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS, channels=1)
    found = []
    for run, seed in enumerate((0, 0, 1)):
        torch.manual_seed(run)  # the global stream has no part in it
        settings = config(method=METHODS[algorithm], seed=seed)
        found.append(digest(whole(shard_files(tmp_path, train, model, 1, settings), settings, train)))
    assert found[0] == found[1] != found[2]


def test_noise_depends_on_the_images_place_in_the_set_but_not_on_later_images(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS)
    fewer = Split(train.images[: 2 * BATCH], train.labels[: 2 * BATCH], train.classes)
    full, part = (whole(shard_files(tmp_path, t, model, 1, config()), config(), t) for t in (train, fewer))
    assert np.array_equal(full[: 2 * BATCH], part)


def test_a_radius_beyond_a_signed_byte_is_kept(make_split: Callable[..., Split], model: Path, tmp_path: Path) -> None:
    train, settings = make_split(ROWS), config(rho_u=200)
    noise = whole(shard_files(tmp_path, train, model, 2, settings), settings, train)
    assert noise.dtype == np.int16
    assert 128 < np.abs(noise).max() <= 200


def test_a_pass_stopped_after_every_batch_gives_the_same_bytes(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS)
    expected = digest(whole(shard_files(tmp_path, train, model, 1, config()), config(), train))
    checkpoint = tmp_path / "stopped" / "noise.checkpoint.pt"
    for _ in range(4):
        with pytest.raises(Stopped, match="the same command goes on"):
            shard_files(checkpoint.parent, train, model, 1, config(), Loop(checkpoint, "f", deadline=0))
        assert checkpoint.is_file()
        assert not (checkpoint.parent / "noise-0-of-1.npy").exists()
    paths = shard_files(checkpoint.parent, train, model, 1, config(), Loop(checkpoint, "f"))
    assert digest(whole(paths, config(), train)) == expected
    assert files.read_json(paths[0].with_suffix(".json"))["passes"] == 5 * 2 * 2 * (1 + 1)
    assert not checkpoint.exists()


# ---- rows of the shards


@given(rows=st.integers(0, 3000), batch=st.integers(1, 300), shards=st.integers(1, 40))
def test_shards_cover_every_row_exactly_once_in_whole_batches(rows: int, batch: int, shards: int) -> None:
    parts = [shard_rows(rows, batch, shard, shards) for shard in range(shards)]
    assert [row for part in parts for row in part] == list(range(rows))
    assert all(part.start % batch == 0 for part in parts if part)
    batches = [-(-len(part) // batch) for part in parts]
    assert max(batches) - min(batches) <= 1


# ---- joining


def parts_of(noise: Array, shards: int) -> list[Array]:
    rows = [shard_rows(len(noise), BATCH, shard, shards) for shard in range(shards)]
    return [noise[r.start : r.stop] for r in rows]


def noise_like(rho_u: int = 8) -> Array:
    return np.random.default_rng(0).integers(-rho_u, rho_u + 1, (ROWS, 8, 8, 1), np.int8)


@given(shards=st.integers(1, 9))
def test_joining_undoes_sharing(shards: int) -> None:
    noise = noise_like()
    joined = join(parts_of(noise, shards), [f"shard {n}" for n in range(shards)], noise.shape, BATCH, 8)
    assert np.array_equal(joined, noise)
    assert joined.dtype == noise.dtype


@pytest.mark.parametrize("damage", ["too short", "too long", "other size", "swapped", "a shard short"])
def test_a_shard_of_another_shape_is_named_and_refused(damage: str) -> None:
    noise = noise_like()
    parts = parts_of(noise, 3)  # of 4, 8 and 6 rows
    if damage == "too short":
        parts[1] = parts[1][:-1]
    elif damage == "too long":
        parts[1] = np.concatenate([parts[1], parts[1][:1]])
    elif damage == "other size":
        parts[1] = parts[1][:, :7]
    elif damage == "swapped":
        parts[0], parts[1] = parts[1], parts[0]
    else:
        parts = parts[:2]
    names = [f"part-{n}.npy" for n in range(len(parts))]
    with pytest.raises(UserError, match=r"part-[01]\.npy: shape .* is not .*run the noise stage again"):
        join(parts, names, noise.shape, BATCH, 8)


@pytest.mark.parametrize("value", [9, -9, -128, 127])
def test_noise_beyond_the_radius_is_refused(value: int) -> None:
    noise = noise_like()
    noise[5, 3, 3, 0] = value
    message = rf"part-1\.npy: the noise reaches {abs(value)}/255, beyond rho_u = 8/255"
    with pytest.raises(UserError, match=message):
        join(parts_of(noise, 3), [f"part-{n}.npy" for n in range(3)], noise.shape, BATCH, 8)


def test_a_merged_noise_records_what_it_was_made_for(
    make_split: Callable[..., Split], store: Callable[..., Path], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS)
    source = store(train)
    paths = shard_files(tmp_path, train, model, 3, config())
    out = tmp_path / "noise"
    measures = [str(path.with_suffix(".json")) for path in paths]
    names = [str(out / name) for name in ("noise.npy", "manifest.json", "metrics.json")]
    merge(config(), source, list(map(str, paths)), measures, *names)

    manifest = json.loads((out / "manifest.json").read_bytes())
    noise = np.load(out / "noise.npy")
    assert manifest["dataset"] == dataset.identity(source)
    assert manifest["sha256"] == hashlib.sha256((out / "noise.npy").read_bytes()).hexdigest()
    assert manifest["shape"] == list(train.images.shape) == list(noise.shape)
    assert manifest["largest"] == int(np.abs(noise.astype(int)).max()) <= 8
    assert manifest["mean_size"] == pytest.approx(np.abs(noise.astype(int)).mean())
    assert manifest["config"] == config()
    assert json.loads((out / "metrics.json").read_bytes())["passes"] == 5 * 2 * 2 * 2


def test_a_damaged_shard_is_refused(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    source = store(make_split(ROWS))
    shard = tmp_path / "noise-0.npy"
    files.write_array(shard, noise_like())
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(UserError, match=r"noise-0\.npy: not a complete \.npy array"):
        merge(config(), source, [str(shard)], [], *(str(tmp_path / name) for name in "abc"))
    assert not (tmp_path / "a").exists()
