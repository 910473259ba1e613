"""Mutual-information unlearnable examples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute import draws as block_draws
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.cost import Shard
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.mi_ue import cost
from unlearnable.noises.mi_ue import noise as mi_ue
from unlearnable.noises.mi_ue.noise import Companions
from unlearnable.noises.mi_ue.settings import MiUe
from unlearnable.training.work import Amount, Subject

from .problems import ALL_BUT_ONE, AUGMENTATIONS, CLASSES, CPU, draws, share_equal


def task(rho_u: int = 8, **changes: Any) -> Problem[MiUe]:
    settings = MiUe(algorithm="mi-ue", k_u=3, alpha_u=0.4, **changes)
    return Problem(settings, rho_u, 0, AUGMENTATIONS[3], CLASSES)


def body(network: nn.Module) -> nn.Module:
    """The network without its last layer."""
    scaled, layers = network.children()
    return nn.Sequential(scaled, *list(layers.children())[:-1])


def loss_by_pairs(g: Tensor, labels: Tensor, others: Tensor, of_others: Tensor, t: float, w: float) -> Tensor:
    """The paper's loss, one pair of images at a time."""
    total = torch.zeros((), dtype=g.dtype)
    for mine, label in zip(g, labels, strict=True):
        own = every = torch.zeros((), dtype=g.dtype)
        distance = torch.zeros((), dtype=g.dtype)
        for theirs, other in zip(others, of_others, strict=True):
            similar = torch.exp(mine @ theirs / mine.norm() / theirs.norm() / t)
            every = every + similar
            if label == other:
                own = own + similar
                distance = distance + ((mine - theirs).square().sum() + 1e-30).sqrt() / len(mine)
        total = total - torch.log(own / every) + w * torch.log(1 + distance)
    return total


@pytest.fixture
def companions(fixed: FrozenNetwork) -> Companions:
    features = torch.randn(9, 6 * 6 * 8, dtype=torch.float64, generator=draws(5))
    return Companions(fixed, features, torch.arange(9) % CLASSES)


@pytest.mark.parametrize("weight", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_is_that_of_the_paper_and_smooth_where_an_image_meets_itself(
    weight: float, temperature: float
) -> None:
    g = torch.randn(6, 5, dtype=torch.float64, generator=draws(1))
    labels = torch.tensor([0, 1, 1, 2, 0, 1])
    settings = task(temperature=temperature, distance_weight=weight).settings
    found, expected = g.clone().requires_grad_(), g.clone().requires_grad_()
    value = mi_ue.joint_loss(found, labels, found, labels, settings)
    plainly = loss_by_pairs(expected, labels, expected, labels, temperature, weight)
    torch.testing.assert_close(value, plainly)
    value.backward()  # type: ignore[no-untyped-call]
    plainly.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found.grad, expected.grad)
    assert found.grad is not None
    assert found.grad.isfinite().all()


def steps(
    network: nn.Module, images: Tensor, labels: Tensor, others: Companions | None, generator: torch.Generator
) -> Tensor:
    """The noise before rounding, with the features of the layers themselves and the loss pair by pair."""
    features, d = body(network), plain.start(images, 8, generator)
    d = (images + d).clamp(0, 255) - images
    for _ in range(3):
        protected = (images + d).requires_grad_()
        g = features(protected)
        theirs, of_theirs = (g, labels) if others is None else (others.features, others.labels)
        (gradient,) = torch.autograd.grad(loss_by_pairs(g, labels, theirs, of_theirs, 0.1, 0.1), protected)
        d = (d - 0.4 * 8 * gradient.sign()).clamp(-8, 8)
        d = (images + d).clamp(0, 255) - images
    return d


def test_noise_equals_the_plain_algorithm(
    network: nn.Module, companions: Companions, batch: tuple[Tensor, Tensor]
) -> None:
    found = mi_ue.noise(companions, Batch(*batch, task(), draws(4)))
    assert share_equal(found, steps(network, *batch, companions, draws(4)).round()) >= ALL_BUT_ONE
    assert companions.network.images == mi_ue.noise_passes(task()) * 7 == 3 * 7


def test_in_source_training_the_noises_of_a_batch_descend_together(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    pixels, d = mi_ue.training_inputs(fixed, Batch(*batch, replace(task(), augmentation=Augmentation()), draws(4)))
    assert share_equal(d, steps(network, *batch, None, draws(4)).round()) >= ALL_BUT_ONE
    assert torch.equal(pixels, (batch[0] + d).clamp(0, 255))
    assert fixed.images == 3 * 7


def test_a_small_micro_batch_does_not_part_the_images(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    noises = []
    for micro_batch in (None, 3):
        with frozen(network, torch.float32, micro_batch) as fixed:
            noises.append(mi_ue.together(fixed, Batch(*batch, task(), draws())))
    assert share_equal(*noises) >= ALL_BUT_ONE


@pytest.mark.parametrize("clip", ["box", "pixels"])
@pytest.mark.parametrize("rho_u", [1, 8, 200])
def test_noise_is_whole_grey_levels_within_the_radius(
    clip: str, rho_u: int, companions: Companions, batch: tuple[Tensor, Tensor]
) -> None:
    d = mi_ue.noise(companions, Batch(*batch, task(rho_u, clip=clip), draws()))
    assert d.shape == batch[0].shape
    assert 0 < d.abs().max() <= rho_u
    assert torch.equal(d, d.round())


def test_equal_seeds_give_equal_companions_and_others_others(train: Split, single: FrozenNetwork) -> None:
    one, again, other = (mi_ue.basis(single, train, task(companions=12), seed, CPU) for seed in (0, 0, 1))
    assert torch.equal(one.features, again.features)
    assert torch.equal(one.labels, again.labels)
    assert not torch.equal(one.features, other.features)


def test_companions_are_of_every_class_and_carry_noise(train: Split, single: FrozenNetwork) -> None:
    labels = np.array([0] * 38 + [1, 2])
    rare = Split(train.images, labels, train.classes)
    found = mi_ue.basis(single, rare, task(companions=5), 3, CPU)
    assert sorted(found.labels.tolist()) == [0, 0, 0, 1, 2]
    assert single.images == 3 * 5
    clean = body(single.network)(torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float())
    assert torch.cdist(found.features, clean).min() > 1e-3
    every = mi_ue.basis(single, rare, task(), 3, CPU)  # more companions than images
    assert every.labels.tolist() == labels.tolist()


def test_fewer_companions_than_classes_are_refused(train: Split, single: FrozenNetwork) -> None:
    with pytest.raises(UserError, match=r"key companions: 2 images cannot include one of each of 3 classes; give at l"):
        mi_ue.basis(single, train, task(companions=2), 0, CPU)


def test_an_images_noise_does_not_depend_on_its_batch(
    companions: Companions, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_draws, "BLOCK", 3)
    images, labels = batch

    def in_batches_of(size: int) -> Tensor:
        parts = []
        for start in range(0, 7, size):
            stop = min(start + size, 7)
            drawn = block_draws.of_rows(start, stop, 0, "noise", CPU)
            parts.append(mi_ue.noise(companions, Batch(images[start:stop], labels[start:stop], task(), drawn)))
        return torch.cat(parts)

    whole = in_batches_of(7)
    for size in (1, 2, 5):
        assert share_equal(in_batches_of(size), whole) >= ALL_BUT_ONE


def test_noise_turns_features_towards_those_of_the_class(train: Split, single: FrozenNetwork) -> None:
    problem = task(40, distance_weight=0.0)
    made = mi_ue.basis(single, train, problem, 0, CPU)
    images, labels = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float(), torch.from_numpy(train.labels)
    d = mi_ue.noise(made, Batch(images, labels, problem, draws()))

    def loss(x: Tensor) -> float:
        g = body(single.network)(x)
        return float(mi_ue.joint_loss(g, labels, made.features, made.labels, problem.settings)) / len(labels)

    chance = math.log(CLASSES)
    assert loss(images + d) < loss(images) - 0.2
    assert loss(images + d) < chance


def test_every_shard_counts_the_steps_of_the_companions() -> None:
    problem = task(companions=64)
    subject = Subject("small-cnn", "cifar", (1, 12, 12), 3, Augmentation(resized_crop=8), "float32")
    shard = Shard(problem, subject, (1, 12, 12), 10, 25, 100)
    assert cost.of_noise(shard) == [Amount(subject.work("gradient", 10, True), 3 * (25 + 64), 20 + 3 * 3)]
    few = replace(shard, all_rows=25)
    assert cost.of_noise(few) == [Amount(subject.work("gradient", 10, True), 3 * (25 + 25), 8 + 3 * 3)]


def test_the_papers_values_are_the_defaults() -> None:
    s = MiUe(algorithm="mi-ue")
    assert (s.k_u, s.clip, s.temperature, s.distance_weight, s.start) == (10, "pixels", 0.1, 0.1, "random")
