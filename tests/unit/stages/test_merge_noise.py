"""The shards of a noise become one noise: every image's exactly once, none beyond the bound."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearnable import arrays, bounds, files
from unlearnable.bounds import Bound
from unlearnable.datasets import stream as streams
from unlearnable.datasets.shards import identity
from unlearnable.datasets.split import Array, Split, shard_rows
from unlearnable.errors import UserError
from unlearnable.settings import plain
from unlearnable.stages import merge_noise as merging
from unlearnable.stages.merge_noise import checked_pieces, merge

from ..given import noise_settings

ROWS = 18
BATCH = 4
BOUND = bounds.linf(8)


def parts_of(noise: Array, shards: int) -> list[Array]:
    rows = [shard_rows(len(noise), BATCH, shard, shards) for shard in range(shards)]
    return [noise[r.start : r.stop] for r in rows]


def noise_like(dtype: type[np.signedinteger[Any]] = np.int8) -> Array:
    return np.random.default_rng(0).integers(-8, 9, (ROWS, 8, 8, 1), dtype)


def names_of(parts: list[Array]) -> list[str]:
    return [f"part-{number}.npy" for number in range(len(parts))]


def joined(parts: list[Array], bound: Bound = BOUND) -> Array:
    return np.concatenate(list(checked_pieces(parts, names_of(parts), (ROWS, 8, 8, 1), BATCH, bound)))


@given(shards=st.integers(1, 9), dtype=st.sampled_from([np.int8, np.int16]))
def test_joining_undoes_sharing(shards: int, dtype: type[np.signedinteger[Any]]) -> None:
    noise = noise_like(dtype)
    found = joined(parts_of(noise, shards))
    assert np.array_equal(found, noise)
    assert found.dtype == noise.dtype


def test_a_noise_is_joined_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CHUNK_BYTES", 3 * 64)
    parts = parts_of(noise_like(), 3)  # of 4, 8 and 6 rows
    pieces = list(checked_pieces(parts, names_of(parts), (ROWS, 8, 8, 1), BATCH, BOUND))
    assert [len(piece) for piece in pieces] == [3, 1, 3, 3, 2, 3, 3]
    assert np.array_equal(np.concatenate(pieces), noise_like())


@pytest.mark.parametrize("damage", ["too short", "too long", "other size", "swapped", "a shard short"])
def test_a_shard_of_another_shape_is_named_and_refused(damage: str) -> None:
    parts = parts_of(noise_like(), 3)
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
    with pytest.raises(UserError, match=r"part-[01]\.npy: shape .* is not .*run the noise stage again"):
        joined(parts)


@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize("shard", [1, 2])
def test_an_image_with_no_noise_or_with_two_is_refused(shift: int, shard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(rows: int, batch_size: int, number: int, shards: int) -> range:
        right = shard_rows(rows, batch_size, number, shards)
        return range(right.start + shift, right.stop + shift) if number == shard else right

    monkeypatch.setattr(merging, "shard_rows", shifted)
    with pytest.raises(UserError, match=rf"part-{shard}\.npy: starts at image .*not every image has exactly one noise"):
        joined(parts_of(noise_like(), 3))


def test_an_image_at_the_end_without_noise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "shard_rows", lambda rows, *shard: shard_rows(rows - 1, *shard))
    with pytest.raises(UserError, match="image 17 has no noise"):
        joined(parts_of(noise_like()[:-1], 3))


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_a_shard_of_another_type_is_named_and_refused(dtype: type[np.number[Any]]) -> None:
    parts = parts_of(noise_like(), 3)
    parts[2] = parts[2].astype(dtype)
    with pytest.raises(
        UserError, match=r"part-2\.npy: (int16|uint8|float32), but all shards must be int8, or all int16"
    ):
        joined(parts)


@pytest.mark.parametrize("value", [9, -9, -128, 127])
def test_noise_beyond_the_radius_is_refused(value: int) -> None:
    noise = noise_like()
    noise[5, 3, 3, 0] = value
    size = abs(value)
    with pytest.raises(
        UserError, match=rf"part-1\.npy: the noise of image 5 has a size of {size} and exceeds the bound, linf 8 1/255"
    ):
        joined(parts_of(noise, 3))


@pytest.mark.parametrize(
    ("bound", "pixels", "refused"),
    [
        (bounds.l0(2), 2, False),
        (bounds.l0(2), 3, True),
        (bounds.l2(1.0), 4, False),  # sqrt(4) * 127 / 255 = 0.996
        (bounds.l2(1.0), 5, True),  # 1.114, and rounding explains 0.016
        (bounds.unbounded(), 64, False),
    ],
)
def test_every_kind_of_bound_is_kept_to(bound: Bound, pixels: int, refused: bool) -> None:
    noise = np.zeros((ROWS, 8, 8, 1), np.int8)
    noise[13].flat[:pixels] = 127
    if refused:
        with pytest.raises(UserError, match=r"part-2\.npy: the noise of image 13 has a size of"):
            joined(parts_of(noise, 3), bound)
    else:
        assert np.array_equal(joined(parts_of(noise, 3), bound), noise)


Losses = tuple[int, float, float]  # images, their mean loss with the random start and with the noise


def run_merge(
    source: Path, parts: list[Array], out: Path, descent: Sequence[Losses] = (), **changes: Any
) -> dict[str, Any]:
    """Merge shards that lie in files, with the losses that they measured; gives the settings."""
    settings = noise_settings(**{"pass": {"batch_size": BATCH}, "bound": BOUND.plain()} | changes)
    paths = [out.parent / name for name in names_of(parts)]
    for number, (path, part) in enumerate(zip(paths, parts, strict=True)):
        arrays.write_array(path, part)
        measured: dict[str, Any] = {
            "passes": 10 + number,
            "seconds": 1.5,
            "peak_memory_bytes": 100 * number,
            "device": "cpu",
        }
        if descent:
            measured["descent"] = dict(zip(("images", "loss_at_start", "loss"), descent[number], strict=True))
        files.write_json(path.with_suffix(".json"), measured | {"files": files.hashes(path)})
    outputs = [str(out / name) for name in ("noise.npy", "manifest.json", "metrics.json")]
    merge(settings, source, list(map(str, paths)), [str(path.with_suffix(".json")) for path in paths], *outputs)
    return plain(settings)


@pytest.mark.parametrize("shards", [1, 3, 7])  # 7 of 5 batches, so that some shards are empty
def test_a_merged_noise_records_what_it_was_made_for(
    shards: int, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    source, noise, out = store(make_split(ROWS)), noise_like(), tmp_path / "noise"
    config = run_merge(source, parts_of(noise, shards), out)
    assert np.array_equal(np.load(out / "noise.npy"), noise)
    assert files.read_json(out / "manifest.json") == {
        "dataset": identity(source),
        "files": {"noise.npy": hashlib.sha256((out / "noise.npy").read_bytes()).hexdigest()},
        "shape": [ROWS, 8, 8, 1],
        "largest": 8,
        "mean_size": np.abs(noise.astype(int)).mean(),
        "config": config,
    }
    assert files.read_json(out / "metrics.json") == {
        "passes": sum(range(10, 10 + shards)),
        "seconds": 1.5 * shards,
        "peak_memory_bytes": 100 * (shards - 1),
        "device": "cpu",
    }


def test_the_loss_over_all_shards_is_recorded(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    one_is_worse: list[Losses] = [(4, 2.0, 1.0), (12, 1.5, 0.5), (2, 1.0, 1.25)]
    run_merge(store(make_split(ROWS)), parts_of(noise_like(), 3), tmp_path / "noise", one_is_worse)
    manifest = files.read_json(tmp_path / "noise" / "manifest.json")
    assert manifest["descent"] == {"loss_at_start": round(28 / 18, 5), "loss": round(12.5 / 18, 6)}


CONTROLS: list[dict[str, str]] = [{"algorithm": "random"}, {"algorithm": "shuffled", "of": "em"}]


@pytest.mark.parametrize("method", [*CONTROLS, {"algorithm": "em"}])
def test_a_control_says_so_and_needs_no_lower_loss(
    method: dict[str, str], make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    run_merge(store(make_split(ROWS)), parts_of(noise_like(), 3), tmp_path / "noise", method=method)
    manifest = files.read_json(tmp_path / "noise" / "manifest.json")
    assert manifest.get("control") == (True if method in CONTROLS else None)
    assert "descent" not in manifest


@pytest.mark.parametrize("loss", [1.5, 1.51, 1000.0])
def test_a_noise_that_is_no_better_than_its_random_start_is_refused(
    loss: float, make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    source, parts = store(make_split(ROWS)), parts_of(noise_like(), 3)
    with pytest.raises(UserError, match=rf"noise\.npy: method em: the mean loss is {loss:.6g} .* 1\.5 .*must be lower"):
        run_merge(source, parts, tmp_path / "noise", [(4, 1.5, loss), (8, 1.5, loss), (6, 1.5, loss)])
    assert not (tmp_path / "noise").exists()


def test_a_noise_that_is_refused_leaves_no_file(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    noise = noise_like()
    noise[17, 0, 0, 0] = 9
    with pytest.raises(UserError, match="image 17"):
        run_merge(store(make_split(ROWS)), parts_of(noise, 3), tmp_path / "noise")
    assert os.listdir(tmp_path / "noise") == []


def test_a_damaged_shard_is_refused(
    make_split: Callable[..., Split], store: Callable[..., Path], tmp_path: Path
) -> None:
    source = store(make_split(ROWS))
    shard = tmp_path / "noise-0.npy"
    arrays.write_array(shard, noise_like())
    described = tmp_path / "noise-0.json"
    files.write_json(described, {"files": files.hashes(shard)})
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1  # still within the bound
    shard.write_bytes(content)
    settings = noise_settings(**{"pass": {"batch_size": BATCH}, "bound": BOUND.plain()})
    with pytest.raises(
        UserError, match=r"noise-0\.npy: checksum mismatch: .*; delete .*noise-0\.json and regenerate it: "
    ):
        merge(settings, source, [str(shard)], [str(described)], *(str(tmp_path / name) for name in "abc"))
    assert not (tmp_path / "a").exists()
