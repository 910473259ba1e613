"""The noise of every image, shard by shard."""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearnable import arrays, bounds, files, registry
from unlearnable import arrays as growing
from unlearnable.compute import draws
from unlearnable.datasets.split import Array, Split, shard_rows
from unlearnable.errors import Stopped, UserError
from unlearnable.networks import build as models
from unlearnable.noises import cost
from unlearnable.noises.method import method_of, problem_of
from unlearnable.stages import noise as noise_pass
from unlearnable.stages.noise import make_shard
from unlearnable.stages.settings.noise import NoiseSettings
from unlearnable.training.loop import Loop
from unlearnable.training.work import Subject

from ..exact import in_float64

CPU = torch.device("cpu")
ROWS, BATCH = 18, 4  # five batches, the last one of two images


def config(**changes: Any) -> dict[str, Any]:
    return {
        "pass": {"batch_size": BATCH, "precision": "float32"},
        "method": {"algorithm": "rem", "k_u": 2, "alpha_u": 0.6, "k_a": 1, "alpha_a": 0.6, "j": 2},
        "bound": bounds.linf(8).plain(),
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
    models.save_weights(models.create("small-cnn", 1, 3, 8, 5, CPU), path)
    return path


def shard_files(
    folder: Path, train: Split, model: Path | None, shards: int, settings: dict[str, Any], loop: Loop | None = None
) -> list[Path]:
    """Compute all shards; gives their files."""
    paths = [folder / f"noise-{shard}-of-{shards}.npy" for shard in range(shards)]
    for shard, path in enumerate(paths):
        measures = path.with_suffix(".json")
        make_shard(
            NoiseSettings.model_validate(settings), train, model, shard, shards, loop or Loop(), CPU, path, measures
        )
    return paths


def whole(paths: list[Path]) -> Array:
    return np.concatenate([arrays.read_array(path) for path in paths])


def digest(noise: Array) -> str:
    return hashlib.sha256(repr((noise.dtype, noise.shape)).encode() + noise.tobytes()).hexdigest()


# ---- the pass


def test_the_shard_count_changes_no_byte(make_split: Callable[..., Split], model: Path, tmp_path: Path) -> None:
    train = make_split(ROWS)
    noises = [whole(shard_files(tmp_path, train, model, n, config())) for n in (1, 2, 3, 7)]
    assert len({digest(noise) for noise in noises}) == 1
    assert noises[0].shape == train.images.shape
    assert noises[0].dtype == np.int8
    assert all(np.abs(image).max() > 0 for image in noises[0])


@pytest.mark.parametrize(("rho_a", "each"), [(4, 2 * 2 * (1 + 1)), (0, 2 * 2)])  # K_u * J * (K_a + 1); no adversary
def test_passes_are_counted_over_all_shards(
    rho_a: int, each: int, make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS)
    for shards in (1, 7):
        paths = shard_files(tmp_path, train, model, shards, config(rho_a=rho_a))
        passes = [files.read_json(path.with_suffix(".json"))["passes"] for path in paths]
        assert sum(passes) == 5 * each


METHODS: dict[str, dict[str, Any]] = {
    "em": {"algorithm": "em", "k_u": 2},
    "em-classwise": {"algorithm": "em-classwise", "share": 0.5, "rounds": 3},
    "tap": {"algorithm": "tap", "steps": 2, "restarts": 2},
    "sem": config()["method"] | {"algorithm": "sem"},
    "rem": config()["method"],
    "clean-uniform": config()["method"] | {"algorithm": "clean-uniform"},
    "entf": {"algorithm": "entf", "direction": "pull", "steps": 2, "alpha": 0.5},
    "mi-ue": {"algorithm": "mi-ue", "k_u": 2, "companions": 9},
}
DESCENDING = [name for name in METHODS if name not in ("entf", "mi-ue")]  # on the loss; these have losses of their own


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
        with in_float64(noise_pass):
            noises.append(whole(shard_files(tmp_path, train, model, 1, settings)))
    assert all((noise == noises[0]).mean() >= 0.999 for noise in noises)


@pytest.mark.parametrize("algorithm", ["entf", "mi-ue", "clean-uniform"])
def test_what_all_shards_share_changes_no_byte_and_is_counted_as_planned(
    algorithm: str, make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train, settings, noises = make_split(ROWS), config(method=METHODS[algorithm]), []
    problem = problem_of(NoiseSettings.model_validate(settings), 3)
    subject = Subject("small-cnn", "cifar", (1, 8, 8), 3, problem.augmentation, "float32")
    for shards in (1, 3):
        paths = shard_files(tmp_path, train, model, shards, settings)
        noises.append(digest(whole(paths)))
        for shard, path in enumerate(paths):
            rows = len(shard_rows(ROWS, BATCH, shard, shards))
            planned = cost.of_noise(cost.Shard(problem, subject, (1, 8, 8), BATCH, rows, ROWS))
            assert files.read_json(path.with_suffix(".json"))["passes"] == sum(amount.passes for amount in planned)
    assert noises[0] == noises[1]


@pytest.mark.parametrize("algorithm", METHODS)
def test_equal_seeds_give_equal_bytes_and_others_give_others(
    algorithm: str, make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS, channels=1)
    found = []
    for run, seed in enumerate((0, 0, 1)):
        torch.manual_seed(run)  # the global stream has no part in it
        settings = config(method=METHODS[algorithm], seed=seed)
        found.append(digest(whole(shard_files(tmp_path, train, model, 1, settings))))
    assert found[0] == found[1] != found[2]


def test_noise_depends_on_the_images_place_in_the_set_but_not_on_later_images(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS)
    fewer = Split(train.images[: 2 * BATCH], train.labels[: 2 * BATCH], train.classes)
    full, part = (whole(shard_files(tmp_path, t, model, 1, config())) for t in (train, fewer))
    assert np.array_equal(full[: 2 * BATCH], part)


def test_a_radius_beyond_a_signed_byte_is_kept(make_split: Callable[..., Split], model: Path, tmp_path: Path) -> None:
    train, settings = make_split(ROWS), config(rho_u=200, bound=bounds.linf(200).plain())
    noise = whole(shard_files(tmp_path, train, model, 2, settings))
    assert noise.dtype == np.int16
    assert 128 < np.abs(noise).max() <= 200


@pytest.mark.parametrize(("method", "dtype"), [("lsp", np.int16), ("ops", np.int16)])
def test_a_noise_without_a_network_needs_none(
    method: str, dtype: type, make_split: Callable[..., Split], tmp_path: Path
) -> None:
    train = make_split(ROWS, channels=3)
    bound = {"lsp": bounds.l2(1.3), "ops": bounds.l0(1)}[method]
    settings = config(method={"algorithm": method}, network=None, stem=None, bound=bound.plain(), rho_u=0, rho_a=0)
    noises = [whole(shard_files(tmp_path, train, None, n, settings)) for n in (1, 3)]
    assert digest(noises[0]) == digest(noises[1])
    assert noises[0].dtype == dtype
    assert all(np.abs(image).max() > 0 for image in noises[0])
    assert files.read_json(tmp_path / "noise-0-of-1.json")["passes"] == 0


def shuffled(among: str) -> dict[str, Any]:
    return config(method={"algorithm": "shuffled", "of": "em", "among": among}, network=None, stem=None)


def shuffled_shards(folder: Path, train: Split, base: Array, shards: int, among: str) -> Array:
    """The noise of ``base``, shuffled in so many shards."""
    paths = [folder / f"{among}-{shard}-of-{shards}.npy" for shard in range(shards)]
    settings = NoiseSettings.model_validate(shuffled(among))
    for shard, path in enumerate(paths):
        metrics = path.with_suffix(".json")
        make_shard(settings, train, None, shard, shards, Loop(), CPU, path, metrics, base=base)
    return whole(paths)


@pytest.mark.parametrize("among", ["other-class", "same-class"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_shuffled_noise_is_that_of_the_partner_in_its_own_frame_however_many_shards(
    among: str, channels: int, make_split: Callable[..., Split], tmp_path: Path
) -> None:
    """Every image's noise is told from all others', pixel by pixel, so a row or an axis that is off would be seen."""
    train = make_split(ROWS, channels)
    base = np.random.default_rng(0).integers(-8, 9, train.images.shape, np.int8)
    problem = problem_of(NoiseSettings.model_validate(shuffled(among)), 3)
    partners = method_of(problem.settings).order(train.labels, problem, 0)
    for shards in (1, 2, 3, 7):
        found = shuffled_shards(tmp_path, train, base, shards, among)
        assert found.dtype == np.int8
        assert np.array_equal(found, base[partners])
    assert files.read_json(tmp_path / f"{among}-0-of-7.json")["passes"] == 0


def test_a_noise_started_from_another_descends_from_each_images_own_however_many_shards(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    """No value is further from its start than two steps of a tenth of rho_u and rounding allow."""
    train = make_split(ROWS)
    other = np.random.default_rng(2).integers(-8, 9, train.images.shape, np.int8)
    method = {"algorithm": "sem", "k_u": 2, "alpha_u": 0.1, "k_a": 1, "j": 1, "start": {"noise": "pil"}}
    settings, found = NoiseSettings.model_validate(config(method=method)), []
    for shards in (1, 2):
        paths = [tmp_path / f"{shard}-of-{shards}.npy" for shard in range(shards)]
        for shard, path in enumerate(paths):
            measures = path.with_suffix(".json")
            make_shard(settings, train, model, shard, shards, Loop(), CPU, path, measures, base=other)
        found.append(whole(paths))
    assert np.array_equal(found[0], found[1])
    assert 0 < np.abs(found[0] - other).max() <= 2  # 2 x 0.1 x 8, rounded


def test_an_images_own_noise_does_more_than_anothers_and_one_that_is_a_row_off_does_not(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    """What the control is for: an index that is off by one makes a noise do what its shuffled form does."""
    train = make_split(60)
    network = models.create("small-cnn", 1, 3, 8, 5, CPU)
    head = network.get_submodule("body.15")
    assert isinstance(head, torch.nn.Linear)
    head.weight.data.mul_(20)  # certain enough for its loss to move
    models.save_weights(network, model)
    method = {"algorithm": "em", "k_u": 5, "alpha_u": 0.5}
    own = whole(shard_files(tmp_path, train, model, 1, config(method=method, rho_u=60, bound=bounds.linf(60).plain())))
    noises = {
        "own": own,
        "shuffled": shuffled_shards(tmp_path, train, own, 2, "other-class"),
        "a row off": np.roll(own, 1, axis=0),  # labels take turns, so this is the noise of another class, too
    }
    labels = torch.from_numpy(train.labels)
    losses = {}
    for name, noise in noises.items():
        pixels = torch.from_numpy((train.images[:] + noise.astype(float)).clip(0, 255)).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            losses[name] = float(torch.nn.functional.cross_entropy(network(pixels), labels))
    gained = losses["shuffled"] - losses["own"]
    assert gained > 0.01
    assert abs(losses["a row off"] - losses["shuffled"]) < 0.3 * gained


@pytest.mark.parametrize("algorithm", ["random", "pil"])
def test_a_noise_within_rho_u_needs_no_network_and_no_shard_changes_it(
    algorithm: str, make_split: Callable[..., Split], tmp_path: Path
) -> None:
    settings = config(method={"algorithm": algorithm}, network=None, stem=None, rho_a=0)
    noises = [whole(shard_files(tmp_path, make_split(ROWS), None, n, settings)) for n in (1, 3, 7)]
    assert len({digest(noise) for noise in noises}) == 1
    assert np.abs(noises[0]).max() == 8
    assert "descent" not in files.read_json(tmp_path / "noise-0-of-1.json")


def test_every_image_gets_the_noise_of_its_class(make_split: Callable[..., Split], model: Path, tmp_path: Path) -> None:
    split = make_split(ROWS)
    train = Split(split.images, np.random.default_rng(1).permutation(split.labels), split.classes)
    settings = config(method=METHODS["em-classwise"])
    noise = whole(shard_files(tmp_path, train, model, 3, settings))
    for label in range(3):
        of_class = noise[train.labels == label]
        assert (of_class == of_class[0]).all()
    assert len({image.tobytes() for image in noise}) == 3
    assert files.read_json(tmp_path / "noise-1-of-3.json")["passes"] == 7  # 3 rounds of 9 images, in batches of 4


def test_the_images_of_a_shard_are_all_that_is_read_for_it(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    split = make_split(ROWS)
    read: list[int] = []

    class Recorder:
        shape = split.images.shape

        def __len__(self) -> int:
            return ROWS

        def __getitem__(self, rows: slice | Array) -> Array:
            read.extend(np.arange(ROWS)[rows].tolist())
            return split.images[rows]

    train = Split(Recorder(), split.labels, split.classes)
    make_shard(
        NoiseSettings.model_validate(config()),
        train,
        model,
        1,
        3,
        Loop(),
        CPU,
        tmp_path / "noise.npy",
        tmp_path / "noise.json",
    )
    assert read == list(shard_rows(ROWS, BATCH, 1, 3))


def test_more_shards_than_batches_leave_some_empty(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS)
    paths = shard_files(tmp_path, train, model, 7, config())
    assert sorted(len(arrays.read_array(path)) for path in paths) == [0, 0, 2, 4, 4, 4, 4]


# ---- a descent that is none


@pytest.mark.parametrize("algorithm", METHODS)
@pytest.mark.parametrize("value", [1e37, float("nan")])
def test_a_source_model_whose_outputs_are_not_finite_is_refused(
    algorithm: str, value: float, make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    network = models.create("small-cnn", 1, 3, 8, 5, CPU)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(value)
    models.save_weights(network, model)
    said = f"method {algorithm}: the outputs or gradients of the source model are not finite, .* lower lr"
    with pytest.raises(UserError, match=said):
        shard_files(tmp_path, make_split(ROWS), model, 1, config(method=METHODS[algorithm]))
    assert not (tmp_path / "noise-0-of-1.npy").exists()
    assert not (tmp_path / "noise-0-of-1.json").exists()


def test_a_noise_that_is_not_finite_is_refused(
    make_split: Callable[..., Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        registry.load_module("noises", "ops"), "noise", lambda basis, batch: torch.full_like(batch.images, torch.nan)
    )
    settings = config(method={"algorithm": "ops"}, network=None, stem=None, bound=bounds.l0(1).plain())
    with pytest.raises(UserError, match="method ops: the noise is not finite"):
        shard_files(tmp_path, make_split(ROWS), None, 1, settings)


@pytest.mark.parametrize("algorithm", DESCENDING)
def test_how_far_the_noise_lowers_the_loss_is_recorded_whatever_the_shards_and_stops(
    algorithm: str, make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train, settings = make_split(ROWS), config(method=METHODS[algorithm])
    whole, *parts = (
        [files.read_json(path.with_suffix(".json"))["descent"] for path in shard_files(*given)]
        for given in ((tmp_path / str(n), train, model, n, settings) for n in (1, 3))
    )
    assert 0 < whole[0]["loss"] < whole[0]["loss_at_start"]
    assert whole[0]["images"] == ROWS // 2
    for key in ("loss", "loss_at_start"):
        total = sum(part["images"] * part[key] for part in parts[0])
        assert total / whole[0]["images"] == pytest.approx(whole[0][key], rel=1e-6)

    checkpoint = tmp_path / "stopped" / "noise.checkpoint.pt"
    for _ in range(2):
        with pytest.raises(Stopped):
            shard_files(checkpoint.parent, train, model, 1, settings, Loop(checkpoint, "f", deadline=0))
    (path,) = shard_files(checkpoint.parent, train, model, 1, settings, Loop(checkpoint, "f"))
    assert files.read_json(path.with_suffix(".json"))["descent"] == whole[0]


def test_a_noise_that_does_not_descend_records_no_loss(make_split: Callable[..., Split], tmp_path: Path) -> None:
    settings = config(method={"algorithm": "ops"}, network=None, stem=None, bound=bounds.l0(1).plain())
    (path,) = shard_files(tmp_path, make_split(ROWS), None, 1, settings)
    assert "descent" not in files.read_json(path.with_suffix(".json"))


# ---- stopping and going on


def test_a_pass_stopped_after_every_batch_gives_the_same_bytes(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS)
    expected = digest(whole(shard_files(tmp_path, train, model, 1, config())))
    checkpoint = tmp_path / "stopped" / "noise.checkpoint.pt"
    for batch in range(1, 5):
        with pytest.raises(Stopped, match="the same command continues"):
            shard_files(checkpoint.parent, train, model, 1, config(), Loop(checkpoint, "f", deadline=0))
        assert checkpoint.is_file()
        assert not (checkpoint.parent / "noise-0-of-1.npy").exists()
        assert side_file(checkpoint.parent).stat().st_size == 128 + batch * BATCH * 64
    paths = shard_files(checkpoint.parent, train, model, 1, config(), Loop(checkpoint, "f"))
    assert digest(whole(paths)) == expected
    assert files.read_json(paths[0].with_suffix(".json"))["passes"] == 5 * 2 * 2 * (1 + 1)
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["noise-0-of-1.json", "noise-0-of-1.npy"]


def side_file(folder: Path) -> Path:
    return folder / ".noise-0-of-1.npy.part"


def stopped(folder: Path, train: Split, model: Path) -> Path:
    """Stop a pass after its first batch; gives its checkpoint."""
    checkpoint = folder / "noise.checkpoint.pt"
    with pytest.raises(Stopped):
        shard_files(folder, train, model, 1, config(), Loop(checkpoint, "f", deadline=0))
    return checkpoint


@pytest.mark.parametrize("damage", ["longer", "gone", "shorter", "another byte", "another header"])
def test_a_pass_goes_on_only_from_what_its_checkpoint_tells_of(
    damage: str, make_split: Callable[..., Split], model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = make_split(ROWS)
    expected = digest(whole(shard_files(tmp_path, train, model, 1, config())))
    checkpoint = stopped(tmp_path / "stopped", train, model)
    part = side_file(checkpoint.parent)
    content = bytearray(part.read_bytes())
    if damage == "gone":
        part.unlink()
    else:
        if damage == "longer":  # killed after a batch that no checkpoint tells of
            content += bytes(range(200))
        elif damage == "shorter":
            del content[-1]
        else:
            content[-1 if damage == "another byte" else 70] ^= 1
        part.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        paths = shard_files(checkpoint.parent, train, model, 1, config(), Loop(checkpoint, "f"))
    assert digest(whole(paths)) == expected
    assert ("lacks the rows that the checkpoint counts; starting from the beginning" in caplog.text) == (
        damage != "longer"
    )
    assert files.read_json(paths[0].with_suffix(".json"))["passes"] == 5 * 2 * 2 * (1 + 1)


def test_a_pass_that_cannot_write_its_metrics_loses_at_most_what_followed_its_checkpoint(
    make_split: Callable[..., Split], model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = make_split(ROWS)
    (expected,) = shard_files(tmp_path / "whole", train, model, 1, config())
    folder = tmp_path / "again"
    (folder / "noise-0-of-1.json").mkdir(parents=True)  # in the way of the file
    loop = Loop(checkpoint=folder / "noise.checkpoint.pt", every=0)
    with pytest.raises(OSError, match=r"noise-0-of-1\.json"):
        shard_files(folder, train, model, 1, config(), loop)
    (folder / "noise-0-of-1.json").rmdir()
    (found,) = shard_files(folder, train, model, 1, config(), Loop(checkpoint=loop.checkpoint))
    assert found.read_bytes() == expected.read_bytes()
    assert "starting from the beginning" not in caplog.text
    files.check_files(found.with_suffix(".json"), found)


def test_the_side_file_of_another_pass_is_written_over(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    train = make_split(ROWS)
    expected = digest(whole(shard_files(tmp_path, train, model, 1, config())))
    checkpoint = stopped(tmp_path / "stopped", make_split(ROWS, seed=1), model)
    paths = shard_files(checkpoint.parent, train, model, 1, config(), Loop(checkpoint, "of other images"))
    assert digest(whole(paths)) == expected


def test_a_checkpoint_does_not_grow_with_the_noise(
    make_split: Callable[..., Split], model: Path, tmp_path: Path
) -> None:
    sizes = []
    for rows in (2 * BATCH, 50 * BATCH):
        checkpoint = tmp_path / f"{rows}.checkpoint.pt"

        class Kept(Loop):
            def done(self) -> None:
                pass

        loop = Kept(checkpoint, "f", every=0)
        settings = config(method=METHODS["em"])
        shard_files(tmp_path / str(rows), make_split(rows), model, 1, settings, loop)
        sizes.append(checkpoint.stat().st_size)
    assert abs(sizes[0] - sizes[1]) < 100


def test_a_full_disk_is_named(
    make_split: Callable[..., Split], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: growing.GrowingArray, rows: Array) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(growing.GrowingArray, "write", full)
    with pytest.raises(UserError, match=r"noise-0-of-1\.npy: the disk is full; free some space and run again"):
        shard_files(tmp_path, make_split(ROWS), model, 1, config())
    assert not (tmp_path / "noise-0-of-1.npy").exists()


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 8, 8, 1), np.int16), np.zeros((1, 8, 7, 1), np.int8), np.zeros((3, 8, 8, 1), np.int8)]
)
def test_rows_of_another_kind_or_too_many_are_refused(wrong: Array, tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"do not fit into int8 \(2, 8, 8, 1\)"),
        growing.growing(tmp_path / "noise.npy", tmp_path / ".noise.npy.part", (2, 8, 8, 1), np.int8, None) as array,
    ):
        array.write(wrong)
    assert not (tmp_path / "noise.npy").exists()


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="1 rows were written of 2"),
        growing.growing(tmp_path / "noise.npy", tmp_path / ".noise.npy.part", (2, 3), np.int8, None) as array,
    ):
        array.write(np.zeros((1, 3), np.int8))
    assert not (tmp_path / "noise.npy").exists()


# ---- rows of the shards


@given(rows=st.integers(0, 3000), batch=st.integers(1, 300), shards=st.integers(1, 40))
def test_shards_cover_every_row_exactly_once_in_whole_batches(rows: int, batch: int, shards: int) -> None:
    parts = [shard_rows(rows, batch, shard, shards) for shard in range(shards)]
    assert [row for part in parts for row in part] == list(range(rows))
    assert all(part.start % batch == 0 for part in parts if part)
    batches = [-(-len(part) // batch) for part in parts]
    assert max(batches) - min(batches) <= 1
