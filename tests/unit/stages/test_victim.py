"""Victims with and without counter-measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from unlearnable import files, registry
from unlearnable.compute.augment import draw
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import Engine
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.compute.pgd import ascend, uniform
from unlearnable.countermeasures.base import Countermeasure, Lesson, cross_entropy
from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import Stopped, UserError
from unlearnable.networks.build import create
from unlearnable.randomness import derived_seed
from unlearnable.stages import victim as victims
from unlearnable.stages.settings.victim import VictimSettings
from unlearnable.stages.settings.victim import VictimTraining as Victim
from unlearnable.stages.victim import changed, lessons, train_victim
from unlearnable.training.accuracy import Seen, accuracy
from unlearnable.training.loop import Loop

CPU = torch.device("cpu")
ROWS, STEPS = 21, 7
T = Augmentation(flip=True, crop_padding=1)
TRAINING: dict[str, Any] = {
    "network": "small-cnn",
    "steps": STEPS,
    "batch_size": 6,
    "precision": "float32",
    "k_a": 2,
    "evaluate_every": 3,
    "robust_steps": 2,
    "robust_images": 5,
}


def config(radius: int = 0, kind: str = "none", **changes: Any) -> dict[str, Any]:
    return {
        "training": TRAINING | changes.pop("training", {}),
        "countermeasure": {"kind": kind},
        "augmentation": T.model_dump(),
        "radius": radius,
        "seed": 3,
    } | changes


def victim(
    train: Split, test: Split, settings: dict[str, Any], folder: Path, loop: Loop | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights and the metrics of a victim."""
    folder.mkdir(exist_ok=True)
    outputs = [folder / name for name in ("model.safetensors", "history.parquet", "metrics.json")]
    train_victim(VictimSettings.model_validate(settings), train, test, loop or Loop(), CPU, *outputs)
    return load_file(outputs[0]), files.read_json(outputs[2])


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[key]) for key, value in a.items())


@pytest.fixture
def train(make_split: Callable[..., Split]) -> Split:
    return make_split(ROWS, channels=3)


@pytest.fixture
def test(make_split: Callable[..., Split]) -> Split:
    return make_split(14, channels=3, seed=1)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (6, 1, 8, 8), generator=generator).float(), torch.arange(6) % 3


@pytest.fixture
def network() -> nn.Module:
    return create("small-cnn", 1, 3, 8, 0, CPU)


def lesson_of(network: nn.Module, measure: Countermeasure, radius: int, seed: int = 5) -> tuple[Lesson, int]:
    """What a step learns from, and the passes it took."""
    x, y = batch()
    inputs = lessons(T, measure, radius, Victim(**TRAINING))
    with frozen(network, torch.float32) as fixed:
        lesson = inputs(fixed, x, y, torch.arange(6), torch.Generator().manual_seed(seed))
        return lesson, fixed.images // 6


# ---- a step


def test_without_a_counter_measure_a_victim_learns_from_augmented_images_under_attack(network: nn.Module) -> None:
    x, y = batch()
    generator = torch.Generator().manual_seed(5)
    z = draw(T, x, generator)(x)
    lesson, passes = lesson_of(network, Countermeasure(), 0)
    assert passes == 0
    assert torch.equal(lesson.pixels, z)
    assert torch.equal(lesson.clean, z)
    assert torch.equal(lesson.targets, y)

    lesson, passes = lesson_of(network, Countermeasure(), 4)
    with frozen(network, torch.float32) as fixed:
        attacked = z + ascend(fixed, z, y, 4, 2, 0.2, uniform(z, 4, generator))
    assert passes == 2
    assert torch.equal(lesson.pixels, attacked)
    assert torch.equal(lesson.clean, z)


def test_a_changed_batch_is_what_is_attacked_and_learned(network: nn.Module) -> None:
    def batch_of_darker(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        assert x.dtype == torch.float32
        assert y.dtype == torch.int64
        darker = (x - torch.randint(1, 50, (), generator=generator)).clamp(min=0)
        return darker, nn.functional.one_hot(y, 3).float() * 0.8 + 0.2 / 3

    measure = Countermeasure(batch=batch_of_darker)
    plainly, changed = (lesson_of(network, m, 0)[0] for m in (Countermeasure(), measure))
    assert (changed.pixels <= plainly.pixels).all()
    assert (changed.pixels < plainly.pixels).any()
    assert changed.targets.shape == (6, 3)
    attacked, _ = lesson_of(network, measure, 4)
    assert torch.equal(attacked.clean, changed.pixels)
    assert 0 < (attacked.pixels - attacked.clean).abs().max() <= 4
    assert torch.equal(attacked.targets, changed.targets)


def test_the_attack_starts_and_aims_where_the_counter_measure_says(network: nn.Module) -> None:
    x, y = batch()
    z = draw(T, x, torch.Generator().manual_seed(5))(x)

    def aim(fixed: FrozenNetwork, clean: Tensor, targets: Tensor) -> Tensor:
        assert torch.equal(clean, z)
        assert torch.equal(targets, y)
        return fixed.logits(clean).softmax(1)

    def start(pixels: Tensor, radius: float, generator: torch.Generator) -> Tensor:
        assert torch.equal(pixels, z)
        return torch.full_like(pixels, radius / 2)

    lesson, _ = lesson_of(network, Countermeasure(attack_targets=aim, attack_start=start), 4)
    with frozen(network, torch.float32) as fixed:
        aims = fixed.logits(z).softmax(1)
        expected = z + ascend(fixed, z, aims, 4, 2, 0.2, torch.full_like(z, 2))
    assert torch.equal(lesson.pixels, expected)
    assert torch.equal(lesson.targets, y)  # learns the labels all the same


# ---- images that are changed once


def test_training_images_are_changed_once_and_piece_by_piece(
    train: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(victims, "chunk_rows", lambda shape: 5)
    sizes: list[int] = []

    def inverted(images: Array) -> Array:
        sizes.append(len(images))
        return 255 - images

    found = changed(train, inverted, tmp_path / "model.safetensors", "images")
    assert sizes == [5, 5, 5, 5, 1]
    assert np.array_equal(found.images[:], 255 - train.images[:])
    assert found.labels is train.labels
    assert list(tmp_path.iterdir()) == []  # the file has lost its name


def test_without_a_change_the_images_are_read_as_they_are(train: Split, tmp_path: Path) -> None:
    assert changed(train, None, tmp_path / "model.safetensors", "images") is train


def test_what_a_killed_job_left_of_its_images_is_removed(train: Split, tmp_path: Path) -> None:
    (tmp_path / "..model.images.npy.123.part").write_bytes(b"half")
    (tmp_path / "..other.images.npy.123.part").write_bytes(b"another job's")
    changed(train, lambda images: images, tmp_path / "model.safetensors", "images")
    assert [path.name for path in tmp_path.iterdir()] == ["..other.images.npy.123.part"]


@pytest.mark.parametrize("radius", [0, 4])
def test_a_victim_of_standardised_images_is_tested_on_standardised_ones(
    train: Split, test: Split, tmp_path: Path, radius: int
) -> None:
    """As one without a counter-measure that is given both halves standardised; its choice of a step likewise."""
    plan: dict[str, Any] = {"training": {"stopping_share": 0.5}}
    own, metrics = victim(train, test, config(radius, kind="standardise", **plan), tmp_path / "own")
    change = victims.countermeasure(registry.validated("countermeasures", {"kind": "standardise"}), train, 3, 3).images
    assert change is not None
    halves = [Split(change(half.images[:]), half.labels, half.classes) for half in (train, test)]
    expected, plain = victim(halves[0], halves[1], config(radius, **plan), tmp_path / "plain")
    assert same(own, expected)
    timings = ("seconds", "peak_memory_bytes", files.HASHES)
    assert all(metrics[key] == value for key, value in plain.items() if key not in timings)
    unlike, _ = victim(train, test, config(radius, **plan), tmp_path / "unlike")
    assert not same(own, unlike)
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == [
        "history.parquet", "metrics.json", "model.safetensors"
    ]  # fmt: skip


def test_fgsm_is_the_victims_attack_with_one_step_of_another_size(train: Split, test: Split, tmp_path: Path) -> None:
    rare = {"kind": "fgsm-rs", "alpha": 1.25, "check_every": 10**9}
    own, metrics = victim(train, test, config(4, countermeasure=rare), tmp_path / "own")
    assert metrics["training_passes"] == 2 * STEPS
    plain = {"k_a": 1, "alpha_a": 1.25}
    assert same(own, victim(train, test, config(4, training=plain), tmp_path / "plain")[0])
    checked = rare | {"check_every": 1, "largest_gap": 1.0}
    found, metrics = victim(train, test, config(4, countermeasure=checked), tmp_path / "checked")
    assert metrics["training_passes"] == (2 + 10) * STEPS
    assert same(own, found)


def test_a_frozen_start_leaves_all_weights_but_the_heads_as_they_were(
    train: Split, test: Split, tmp_path: Path
) -> None:
    first, _ = victim(train, test, config(), tmp_path / "first")
    file = tmp_path / "first/model.safetensors"
    start = {"kind": "pretrained", "file": str(file), "sha256": files.sha256(file), "frozen": "all-but-head"}
    settings = config(4, countermeasure=start, seed=8)
    expected, _ = victim(train, test, settings, tmp_path / "second")
    moved = {key for key, value in expected.items() if not torch.equal(value, first[key])}
    assert {key for key in moved if "running" not in key and "tracked" not in key} == {"body.15.weight", "body.15.bias"}
    checkpoint = tmp_path / "model.checkpoint.pt"
    for _ in range(STEPS - 1):
        with pytest.raises(Stopped):
            victim(train, test, settings, tmp_path / "stopped", Loop(checkpoint, "f", deadline=0))
    assert same(victim(train, test, settings, tmp_path / "stopped", Loop(checkpoint, "f"))[0], expected)


def test_a_victim_learns_from_changed_images_and_is_tested_on_unchanged_ones(
    train: Split, test: Split, tmp_path: Path
) -> None:
    grey, metrics = victim(train, test, config(kind="grayscale"), tmp_path / "grey")
    change = victims.countermeasure(registry.validated("countermeasures", {"kind": "grayscale"}), train, 3, 3).images
    assert change is not None
    by_hand = Split(change(train.images[:]), train.labels, train.classes)
    expected, expected_metrics = victim(by_hand, test, config(), tmp_path / "by hand")
    assert same(grey, expected)
    for key in ("test_accuracy", "train_accuracy", "robust_accuracy"):
        assert metrics[key] == expected_metrics[key]
    assert not same(grey, victim(train, test, config(), tmp_path / "colour")[0])
    assert sorted(p.name for p in (tmp_path / "grey").iterdir()) == [
        "history.parquet",
        "metrics.json",
        "model.safetensors",
    ]


# ---- whole victims


@pytest.mark.parametrize(
    ("radius", "kind", "passes"),
    [
        (0, "none", STEPS),
        (4, "none", STEPS * 3),
        (0, "mixup", STEPS),
        (4, "cutout", STEPS * 3),
        (0, "jpeg", STEPS),
        (4, "trades", STEPS * 4),
        (4, "mart", STEPS * 4),
        (0, "standardise", STEPS),
        (0, "contrastive", STEPS),
        (0, "ueraser-lite", STEPS),
        (4, "coin", STEPS * 3),
        (4, "colour-shift", STEPS * 3),
        (4, "fgsm-rs", STEPS * 12),
    ],
)
def test_a_victim_stopped_at_every_step_ends_in_the_same_bytes(
    radius: int, kind: str, passes: int, train: Split, test: Split, tmp_path: Path
) -> None:
    settings = config(radius, kind)
    if kind == "cutout":
        settings["countermeasure"]["size"] = 4
    if kind == "fgsm-rs":
        settings["countermeasure"] |= {"check_every": 1, "largest_gap": 1.0}
    expected, metrics = victim(train, test, settings, tmp_path / "whole")
    assert metrics["passes"] == passes + (
        1 if radius else 0
    )  # and for two steps on five images, no more than one of a whole batch
    checkpoint = tmp_path / "model.checkpoint.pt"
    for _ in range(STEPS - 1):
        with pytest.raises(Stopped):
            victim(train, test, settings, tmp_path / "stopped", Loop(checkpoint, "f", deadline=0))
    found, again = victim(train, test, settings, tmp_path / "stopped", Loop(checkpoint, "f"))
    assert same(found, expected)
    timed = {"seconds", "peak_memory_bytes"}
    assert {k: v for k, v in again.items() if k not in timed} == {k: v for k, v in metrics.items() if k not in timed}
    histories = [(tmp_path / run / "history.parquet").read_bytes() for run in ("whole", "stopped")]
    assert histories[0] == histories[1]


def test_the_metrics_and_the_history_are_complete(train: Split, test: Split, tmp_path: Path) -> None:
    _, metrics = victim(train, test, config(4), tmp_path)
    history = pq.read_table(tmp_path / "history.parquet").to_pydict()
    assert list(history) == ["step", "loss", "batch_accuracy", "passes", "test_accuracy"]
    assert history["step"] == [3, 6, 7]
    assert set(metrics) == {
        *("test_accuracy", "best_test_accuracy", "best_step", "train_accuracy", "robust_accuracy", "robust_radius"),
        *("auto_attack_accuracy", "training_passes", "passes", "seconds", "peak_memory_bytes", "device", "files"),
        *("stopped_test_accuracy", "stopped_step", "test_images", "stopping_images"),
    }
    assert metrics["test_accuracy"] == history["test_accuracy"][-1]
    assert metrics["best_test_accuracy"] == max(history["test_accuracy"])
    assert metrics["robust_radius"] == 4
    assert metrics["auto_attack_accuracy"] is None
    assert (metrics["stopped_step"], metrics["stopping_images"]) == (None, 0)
    assert metrics["test_images"] == len(test.labels)


def test_some_test_images_choose_a_step_and_are_left_out_of_all_accuracies(
    train: Split, make_split: Callable[..., Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = make_split(40, channels=3, seed=2)
    seen: list[int] = []

    def counted(engine: Engine, feed: Feed, see: Seen) -> float:
        seen.append(len(feed))
        return accuracy(engine, feed, see)

    monkeypatch.setattr(victims, "accuracy", counted)
    _, metrics = victim(train, test, config(training={"stopping_share": 0.25}), tmp_path)
    assert seen == [30, 10] * 3 + [ROWS]  # at three steps; the training images at the end
    history = pq.read_table(tmp_path / "history.parquet").to_pylist()
    chosen = max(history, key=lambda row: (row["stopping_accuracy"], -row["step"]))
    assert (metrics["stopped_step"], metrics["stopped_test_accuracy"]) == (chosen["step"], chosen["test_accuracy"])
    assert (metrics["test_images"], metrics["stopping_images"]) == (30, 10)
    assert metrics["best_test_accuracy"] == max(row["test_accuracy"] for row in history)


def test_auto_attack_is_measured_when_asked_for(
    train: Split, test: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("art")
    from art.attacks.evasion import auto_attack

    class Short(auto_attack.SquareAttack):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**(options | {"max_iter": 3, "nb_restarts": 1}))

    monkeypatch.setattr(auto_attack, "SquareAttack", Short)
    _, metrics = victim(train, test, config(2, training={"auto_attack": True}), tmp_path / "attacked")
    assert 0 <= metrics["auto_attack_accuracy"] <= metrics["robust_accuracy"]
    _, metrics = victim(train, test, config(0, training={"auto_attack": True}), tmp_path / "not attacked")
    assert metrics["auto_attack_accuracy"] is None


@pytest.mark.parametrize("radius", [0, 4])
def test_a_victim_learns_from_resized_crops_and_is_tested_on_central_ones(radius: int, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (ROWS, 12, 12, 1), np.uint8)
    labels = np.arange(ROWS) % 3
    wide, small = (Split(part, labels, ["cat", "dog", "owl"]) for part in (images, images[:, 2:10, 2:10]))
    settings = config(radius, augmentation={"flip": True, "resized_crop": 8})
    weights, metrics = victim(wide, wide, settings, tmp_path / "wide")
    network = create("small-cnn", 1, 3, 8, 0, CPU)
    network.load_state_dict(weights)
    x = torch.from_numpy(small.images[:]).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        right = network.eval()(x).argmax(1) == torch.from_numpy(labels)
    assert metrics["test_accuracy"] == metrics["train_accuracy"] == float(right.double().mean())


def test_the_neutral_counter_measure_changes_nothing(train: Split) -> None:
    neutral = victims.countermeasure(registry.validated("countermeasures", {"kind": "none"}), train, 3, 0)
    assert neutral == Countermeasure()
    assert neutral.objective is cross_entropy
    assert CountermeasureSettings.passes == 1


def test_a_victim_does_not_start_where_the_source_model_of_its_seed_did(
    train: Split, test: Split, tmp_path: Path
) -> None:
    still = {"lr": 1e-12, "steps": 1}
    weights, _ = victim(train, test, config(training=still), tmp_path / "one")
    again, _ = victim(train, test, config(training=still), tmp_path / "two")
    source = create("small-cnn", train.images.shape[3], 3, 8, 3, CPU).state_dict()
    learned = [name for name, value in source.items() if name.endswith("conv.weight") and value.ndim == 4]
    assert learned
    assert all(torch.equal(weights[name], again[name]) for name in learned)
    assert all((weights[name] - source[name]).abs().mean() > 0.01 for name in learned)


def test_a_victim_starts_from_the_weights_that_its_settings_name(train: Split, test: Split, tmp_path: Path) -> None:
    still = {"lr": 1e-12, "steps": 1, "weight_decay": 0.0}
    for kind in ("default", "he-normal"):
        weights, _ = victim(train, test, config(training=still | {"initialisation": kind}), tmp_path / kind)
        seed = derived_seed(config()["seed"], "victim")
        start = create("small-cnn", train.images.shape[3], 3, 8, seed, CPU, "cifar", kind).state_dict()
        learned = [name for name, value in start.items() if value.ndim == 4]
        assert learned
        for name in learned:
            torch.testing.assert_close(weights[name], start[name], rtol=1e-5, atol=1e-7)


def test_a_victim_that_diverges_in_its_last_step_is_refused(train: Split, test: Split, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^victim: .* not finite.*; lower lr"):
        victim(train, test, config(training={"steps": 1, "lr": 1e38}), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
