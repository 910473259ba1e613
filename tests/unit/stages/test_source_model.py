"""Source models: what is carried from step to step, and what they are trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from unlearnable import files, registry
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import uniform
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import Stopped, UserError
from unlearnable.networks.build import create
from unlearnable.noises.method import Batch, Problem, method_of, problem_of
from unlearnable.noises.settings import MethodSettings
from unlearnable.randomness import generator
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.source_model import carried_noise, train_source_model
from unlearnable.training.loop import Loop

CPU = torch.device("cpu")
ROWS, STEPS = 21, 7
CARRIED: dict[str, dict[str, Any]] = {
    "image": {"algorithm": "em", "k_u": 1, "start": "previous"},
    "class": {"algorithm": "em-classwise"},
}
METHODS: dict[str, dict[str, Any]] = CARRIED | {
    "clean": {"algorithm": "clean"},
    "augmented": {"algorithm": "em", "k_u": 1, "frame": "augmented"},
    "identity": {"algorithm": "rem", "k_u": 1, "k_a": 1, "j": 2, "expectation": "identity"},
    "uniform": {"algorithm": "clean-uniform", "k_u": 1, "k_a": 1, "j": 2},
}


def config(method: dict[str, Any], **changes: Any) -> dict[str, Any]:
    training = {"network": "small-cnn", "steps": STEPS, "batch_size": 6, "precision": "float32", "history_every": 3}
    return {
        "training": training,
        "method": method,
        "augmentation": {"flip": True, "crop_padding": 1},
        "rho_u": 8,
        "rho_a": 4,
        "seed": 3,
    } | changes


def trained(
    train: Split, settings: dict[str, Any], folder: Path, loop: Loop | None = None, base: Array | None = None
) -> dict[str, Tensor]:
    """The weights of a source model."""
    folder.mkdir(exist_ok=True)
    outputs = [folder / name for name in ("model.safetensors", "history.parquet", "metrics.json")]
    train_source_model(SourceModelSettings.model_validate(settings), train, loop or Loop(), CPU, *outputs, base=base)
    return load_file(outputs[0])


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[key]) for key, value in a.items())


def problem_in(config: dict[str, Any]) -> Problem[MethodSettings]:
    return problem_of(SourceModelSettings.model_validate(config), 3)


@pytest.fixture
def train(make_split: Callable[..., Split]) -> Split:
    """Labels in no order, so that no row number is a label."""
    split = make_split(ROWS)
    return Split(split.images, np.random.default_rng(4).permutation(split.labels), split.classes)


def test_a_source_model_starts_from_the_weights_that_its_settings_name(train: Split, tmp_path: Path) -> None:
    settings = config(METHODS["clean"])
    still = settings["training"] | {"lr": 1e-12, "steps": 1, "weight_decay": 0.0}
    for kind in ("default", "he-normal"):
        weights = trained(train, settings | {"training": still | {"initialisation": kind}}, tmp_path / kind)
        start = create("small-cnn", train.images.shape[3], 3, 8, settings["seed"], CPU, "cifar", kind).state_dict()
        learned = [name for name, value in start.items() if value.ndim == 4]
        assert learned
        for name in learned:
            torch.testing.assert_close(weights[name], start[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_every_seed_trains_a_network_of_its_own_again(method: str, train: Split, tmp_path: Path) -> None:
    weights = []
    for run, seed in enumerate((3, 3, 4)):
        torch.manual_seed(run)
        weights.append(trained(train, config(METHODS[method], seed=seed), tmp_path / str(run)))
    assert same(*weights[:2])
    assert not same(*weights[1:])
    problem = problem_in(config(METHODS[method]))
    described = method_of(problem.settings)
    passes = STEPS * (described.training_passes(problem) + described.objective_passes(problem))
    assert files.read_json(tmp_path / "0" / "metrics.json")["passes"] == passes


@pytest.mark.parametrize("method", METHODS)
def test_a_source_model_stopped_at_every_step_ends_in_the_same_bytes(method: str, train: Split, tmp_path: Path) -> None:
    expected = trained(train, config(METHODS[method]), tmp_path / "whole")
    checkpoint = tmp_path / "model.checkpoint.pt"
    for _ in range(STEPS - 1):
        with pytest.raises(Stopped):
            trained(train, config(METHODS[method]), tmp_path / "stopped", Loop(checkpoint, "f", deadline=0))
    assert same(trained(train, config(METHODS[method]), tmp_path / "stopped", Loop(checkpoint, "f")), expected)
    histories = [(tmp_path / run / "history.parquet").read_bytes() for run in ("whole", "stopped")]
    assert histories[0] == histories[1]


@pytest.mark.parametrize("kind", CARRIED)
def test_a_step_starts_from_the_last_noise_of_its_images_or_of_their_classes(
    kind: str, train: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = registry.load_module("noises", CARRIED[kind]["algorithm"])
    step = module.training_inputs
    settings = config(CARRIED[kind])
    kept = carried_noise(problem_in(settings), Feed(train, CPU), 3)
    assert kept is not None
    assert kept.shape == ((ROWS if kind == "image" else 3), 1, 8, 8)
    last = dict(enumerate(kept.float()))
    images = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float()
    returning = 0

    def seeing(network: FrozenNetwork, batch: Batch[Any]) -> Any:
        nonlocal returning
        x, y, start = batch.images, batch.labels, batch.start
        assert start is not None
        pixels, d = step(network, batch)
        rows = (images[None] == x[:, None]).flatten(2).all(2).int().argmax(1)
        assert torch.equal(torch.from_numpy(train.labels)[rows], y)
        places = (rows if kind == "image" else y).tolist()
        for place, before in zip(places, start, strict=True):
            assert torch.equal(before, last[place])
        returning += sum(not torch.equal(last[place], kept[place].float()) for place in set(places))
        last.update(zip(places, d, strict=True))
        return pixels, d

    monkeypatch.setattr(module, "training_inputs", seeing)
    trained(train, settings, tmp_path)
    assert returning > 6  # most were seen before


STARTED: dict[str, Any] = {"algorithm": "sem", "k_u": 1, "k_a": 1, "j": 1, "start": {"noise": "pil"}}


def other_noise(train: Split) -> Array:
    return np.random.default_rng(5).integers(-8, 9, train.images.shape, np.int8)


def test_every_step_starts_from_the_other_noise_of_its_images(
    train: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = registry.load_module("noises", "sem")
    step, other = module.training_inputs, other_noise(train)
    images = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float()
    seen: set[int] = set()

    def seeing(network: FrozenNetwork, batch: Batch[Any]) -> Any:
        rows = (images[None] == batch.images[:, None]).flatten(2).all(2).int().argmax(1).numpy()
        assert batch.start is not None
        assert np.array_equal(batch.start.permute(0, 2, 3, 1).numpy(), other[rows])
        seen.update(rows.tolist())
        return step(network, batch)

    monkeypatch.setattr(module, "training_inputs", seeing)
    monkeypatch.setattr("unlearnable.stages.source_model.chunk_rows", lambda shape: 4)
    trained(train, config(STARTED), tmp_path, base=other)
    assert len(seen) == ROWS


def test_a_source_model_started_from_a_noise_ends_in_the_same_bytes_however_it_is_stopped(
    train: Split, tmp_path: Path
) -> None:
    other, checkpoint = other_noise(train), tmp_path / "model.checkpoint.pt"
    expected = trained(train, config(STARTED), tmp_path / "whole", base=other)
    assert not same(expected, trained(train, config(STARTED), tmp_path / "negated", base=-other))
    with pytest.raises(Stopped):
        trained(train, config(STARTED), tmp_path / "stopped", Loop(checkpoint, "f", deadline=0), base=other)
    again = trained(train, config(STARTED), tmp_path / "stopped", Loop(checkpoint, "f"), base=other)
    assert same(again, expected)


def test_the_first_noise_of_images_is_one_draw_however_many_pieces_it_is_made_in(train: Split) -> None:
    problem = problem_in(config(CARRIED["image"]))
    feed = Feed(train, CPU)
    whole = uniform(torch.zeros(ROWS, 1, 8, 8), 8, generator(3, "source model", "start")).round().to(torch.int16)
    found = carried_noise(problem, feed, 3)
    assert found is not None
    assert torch.equal(found, whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unlearnable.stages.source_model.chunk_rows", lambda shape: 4)
        pieces = carried_noise(problem, feed, 3)
    assert pieces is not None
    assert torch.equal(pieces, whole)


@pytest.mark.parametrize("method", ["clean", "image", "class", "identity"])
def test_a_source_model_learns_from_resized_crops(method: str, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (ROWS, 12, 12, 1), np.uint8)
    train = Split(images, np.arange(ROWS) % 3, ["cat", "dog", "owl"])
    augmentation = {"flip": True, "resized_crop": 8}
    weights = trained(train, config(METHODS[method], augmentation=augmentation), tmp_path)
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_a_source_model_minimises_the_objective_of_its_noise(train: Split, tmp_path: Path) -> None:
    """The loss of the first step, on equal images, grows with the weight of the clean-uniform term; so do the steps."""
    losses, weights = [], []
    for weight in (0.0, 1.0, 3.0):
        settings = config(METHODS["uniform"] | {"uniform_weight": weight})
        settings["training"]["steps"] = 1
        weights.append(trained(train, settings, tmp_path / str(weight)))
        losses.append(files.read_json(tmp_path / str(weight) / "metrics.json")["loss"])
    away = losses[1] - losses[0]
    assert 0 < away < (2 / 3) ** 0.5  # of three classes
    assert losses[2] - losses[0] == pytest.approx(3 * away, rel=1e-4)
    assert not same(*weights[:2])


def test_crops_that_are_larger_than_the_images_are_refused(train: Split, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="resized_crop is 16, but images are 8x8 pixels"):
        trained(train, config(METHODS["clean"], augmentation={"resized_crop": 16}), tmp_path)


@pytest.mark.parametrize("method", ["clean", "image"])
def test_a_source_model_that_diverges_in_its_last_step_is_refused(method: str, train: Split, tmp_path: Path) -> None:
    settings = config(METHODS[method])
    settings["training"] |= {"steps": 1, "lr": 1e38}
    with pytest.raises(UserError, match=r"source model: the loss or the weights are not finite .* at step 1; lower lr"):
        trained(train, settings, tmp_path)
    assert list(tmp_path.iterdir()) == []
