"""Accuracy under AutoAttack, against a network whose robustness is known."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import Engine
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.training.auto_attack import auto_attack_accuracy, require_library

CPU = torch.device("cpu")
ROWS, CLASSES = 12, 3


def same(images: Tensor) -> Tensor:
    return images


@pytest.fixture
def engine() -> Engine:
    """A linear network: no attack of a radius can move a margin by more than the radius times a sum of weights."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES, bias=False))
    weights = torch.randn(CLASSES, 64, generator=torch.Generator().manual_seed(0)) / 255
    network[1].weight.data.copy_(weights)  # type: ignore[operator]
    return Engine(network, torch.float32, 5)


@pytest.fixture
def feed() -> Feed:
    """Grey images, far from black and white."""
    images = np.random.default_rng(0).integers(118, 138, (ROWS, 8, 8, 1), np.uint8)
    return Feed(Split(images, np.zeros(ROWS, np.int64), ["a", "b", "c"]), CPU)


def margins(engine: Engine, feed: Feed) -> tuple[Tensor, Tensor]:
    """Each image's likeliest class, and the radius (1/255) up to which it withstands every attack."""
    x, _, _ = next(feed.batches([np.arange(len(feed))]))
    logits = engine.network(x.float()).detach()
    weight = engine.network[1].weight.detach()  # type: ignore[index]
    label = logits.argmax(1)
    by_class = [
        (logits.max(1).values - logits[:, k]) / (weight[label] - weight[k]).abs().sum(1).clamp(min=1e-12)
        for k in range(CLASSES)
    ]
    others = torch.stack(by_class).T.masked_fill(nn.functional.one_hot(label, CLASSES).bool(), torch.inf)
    return label, others.min(1).values


def labelled(engine: Engine, feed: Feed) -> Feed:
    """The images with the network's own labels, but for two that it gets wrong."""
    label, _ = margins(engine, feed)
    label[:2] = (label[:2] + 1) % CLASSES
    return Feed(Split(feed._images, label.numpy(), ["a", "b", "c"]), CPU)


@pytest.fixture(autouse=True)
def few_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Square's 25,000 queries find nothing here that gradients do not."""
    pytest.importorskip("art")
    from art.attacks.evasion import auto_attack

    class Short(auto_attack.SquareAttack):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**(options | {"max_iter": 3, "nb_restarts": 1}))

    monkeypatch.setattr(auto_attack, "SquareAttack", Short)


def test_what_an_attack_can_break_is_broken_and_the_rest_counts_as_robust(engine: Engine, feed: Feed) -> None:
    _, withstands = margins(engine, feed)
    radius = int(withstands.median().round())
    assert ((withstands - radius).abs() > 0.05).all()
    expected = int((withstands[2:] > radius).sum()) / ROWS
    assert 0.1 < expected < 0.9
    found = auto_attack_accuracy(engine, labelled(engine, feed), same, radius, 100, CLASSES, 0)
    assert found == pytest.approx(expected)


def test_the_global_streams_are_left_as_they_were_and_have_no_part_in_it(engine: Engine, feed: Feed) -> None:
    found = []
    for run in range(2):
        torch.manual_seed(run)
        np.random.seed(run)
        expected = (torch.rand(3), np.random.rand(3))
        torch.manual_seed(run)
        np.random.seed(run)
        found.append(auto_attack_accuracy(engine, labelled(engine, feed), same, 2, 5, CLASSES, 3))
        assert torch.equal(torch.rand(3), expected[0])
        assert np.array_equal(np.random.rand(3), expected[1])
    assert found[0] == found[1]


def test_there_is_nothing_to_attack_at_radius_0(engine: Engine, feed: Feed) -> None:
    assert auto_attack_accuracy(engine, feed, same, 0, 5, CLASSES, 0) is None


def test_the_network_is_left_as_it_was(engine: Engine, feed: Feed) -> None:
    engine.network.train()
    auto_attack_accuracy(engine, labelled(engine, feed), same, 2, 4, CLASSES, 0)
    assert engine.network.training
    assert all(p.requires_grad and p.grad is None for p in engine.network.parameters())


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    require_library(3)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'adversarial-robustness-toolbox>=1.20'"):
        require_library(3)


def test_two_classes_are_too_few() -> None:
    with pytest.raises(UserError, match="needs 3 classes or more, not 2; set auto_attack: false"):
        require_library(2)
