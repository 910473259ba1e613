"""What is measured on a network, batch by batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from unlearnable.compute import memory
from unlearnable.compute.augment import evaluation
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import Engine
from unlearnable.compute.pgd import ascend, uniform
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.networks.build import create
from unlearnable.randomness import generator
from unlearnable.training import accuracy as measures

CPU = torch.device("cpu")
ROWS = 37


def same(images: Tensor) -> Tensor:
    return images


@pytest.fixture
def engine() -> Engine:
    """A network with random batch-norm statistics, so that it does not say the same of every image."""
    network = create("small-cnn", 1, 3, 8, 0, CPU)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in network.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return Engine(network, torch.float32, 5)


@pytest.fixture
def split(make_split: Callable[..., Split]) -> Split:
    return make_split(ROWS)


def whole(split: Split) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(split.images[:]).permute(0, 3, 1, 2).float(), torch.from_numpy(split.labels)


@pytest.mark.parametrize("batch", [1, 8, ROWS, 250])
@pytest.mark.parametrize("ahead", [True, False])
def test_accuracy_in_batches_is_that_of_all_images_at_once(
    batch: int, ahead: bool, engine: Engine, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = whole(split)
    with torch.no_grad():
        expected = float((engine.network.eval()(x).argmax(1) == y).double().mean())
    assert 0.1 < expected < 0.9
    monkeypatch.setattr(measures, "BATCH", batch)
    if ahead:
        monkeypatch.setattr(memory, "free_bytes", lambda device: 0)
    assert measures.accuracy(engine, Feed(split, CPU), same) == pytest.approx(expected, abs=1e-12)


def test_no_more_than_a_batch_is_read_at_once(engine: Engine, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Recorder:
        shape = split.images.shape

        def __len__(self) -> int:
            return ROWS

        def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
            part = split.images[rows]
            sizes.append(len(part))
            return part

    monkeypatch.setattr(measures, "BATCH", 10)
    feed = Feed(Split(Recorder(), split.labels, split.classes), CPU)
    measures.accuracy(engine, feed, same)
    measures.robust_accuracy(engine, feed, same, 4, 1, 13, 0)
    assert sizes == [10, 10, 10, 7, 10, 3]


def test_the_network_is_measured_in_eval_mode_and_left_as_it_was(engine: Engine, split: Split) -> None:
    engine.network.train()
    before = {key: value.clone() for key, value in engine.network.state_dict().items()}
    measures.accuracy(engine, Feed(split, CPU), same)
    assert engine.network.training
    assert all(torch.equal(value, before[key]) for key, value in engine.network.state_dict().items())


def test_robust_accuracy_is_that_under_pgd(engine: Engine, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "BATCH", 10)
    x, y = whole(split)
    right = 0
    with engine.frozen() as fixed:  # with its micro-batches, as another order of summation may flip signs
        for index, start in enumerate(range(0, 23, 10)):
            part, labels = x[start : min(start + 10, 23)], y[start : min(start + 10, 23)]
            e = uniform(part, 12, generator(7, "robust accuracy", index))
            attacked = part + ascend(fixed, part, labels, 12, 3, 0.2, e)
            right += int((fixed.logits(attacked).argmax(1) == labels).sum())
    found, passes = measures.robust_accuracy(engine, Feed(split, CPU), same, 12, 3, 23, 7)
    assert found == right / 23
    assert passes == 7  # 3 steps on 23 images, in batches of 10
    assert found < measures.accuracy(engine, Feed(split, CPU), same)


def test_robust_accuracy_at_radius_0_is_the_accuracy_and_takes_no_passes(engine: Engine, split: Split) -> None:
    feed = Feed(split, CPU)
    assert measures.robust_accuracy(engine, feed, same, 0, 3, ROWS, 7) == (measures.accuracy(engine, feed, same), 0)


def test_more_images_than_there_are_mean_all(engine: Engine, split: Split) -> None:
    feed = Feed(split, CPU)
    few, many = (measures.robust_accuracy(engine, feed, same, 4, 2, images, 0) for images in (ROWS, 1000))
    assert few == many


def test_images_pass_through_the_evaluation_transform_first(engine: Engine) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (ROWS, 12, 12, 1), np.uint8)
    labels = np.arange(ROWS) % 3
    large, small = (Feed(Split(images, labels, []), CPU) for images in (wide, wide[:, 2:10, 2:10]))
    see = evaluation(Augmentation(resized_crop=8))
    assert measures.accuracy(engine, large, see) == measures.accuracy(engine, small, same)
    found, expected = (measures.robust_accuracy(engine, f, s, 4, 2, 20, 0) for f, s in ((large, see), (small, same)))
    assert found == expected


def test_outputs_that_are_not_finite_have_no_accuracy(engine: Engine, split: Split) -> None:
    feed = Feed(split, CPU)
    with torch.no_grad():
        for parameter in engine.network.parameters():
            parameter.mul_(1e37)
    with pytest.raises(UserError, match=r"victim: the network's outputs are not finite.*; lower lr"):
        measures.accuracy(engine, feed, same)
    with pytest.raises(UserError, match=r"victim: the network's outputs are not finite.*; lower lr"):
        measures.robust_accuracy(engine, feed, same, 4, 1, ROWS, 0)
