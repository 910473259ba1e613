"""Entangled features."""

from __future__ import annotations

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
from unlearnable.noises.entf import cost
from unlearnable.noises.entf import noise as entf
from unlearnable.noises.entf.noise import Reference
from unlearnable.noises.entf.settings import Entf
from unlearnable.noises.method import Batch, Problem
from unlearnable.training.work import Amount, Subject

from .problems import ALL_BUT_ONE, AUGMENTATIONS, CLASSES, CPU, draws, share_equal

Direction = Any


def task(direction: Direction = "push", rho_u: int = 8, augmentation: Augmentation = AUGMENTATIONS[3]) -> Problem[Entf]:
    settings = Entf(algorithm="entf", direction=direction, steps=4, alpha=0.3, k_a=2, alpha_a=0.6)
    return Problem(settings, rho_u, 4, augmentation, CLASSES)


def body(network: nn.Module) -> nn.Module:
    """The network without its last layer."""
    scaled, layers = network.children()
    return nn.Sequential(scaled, *list(layers.children())[:-1])


@pytest.fixture
def reference(network: nn.Module, fixed: FrozenNetwork) -> Reference:
    return Reference(fixed, torch.randn(CLASSES, 6 * 6 * 8, dtype=torch.float64, generator=draws(5)))


@pytest.mark.parametrize("direction", ["push", "pull"])
@pytest.mark.parametrize("rho_u", [1, 8, 200])
def test_noise_is_whole_grey_levels_within_the_radius_and_shows(
    direction: Direction, rho_u: int, reference: Reference, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    d = entf.noise(reference, Batch(images, labels, task(direction, rho_u), draws()))
    assert d.shape == images.shape
    assert 0 < d.abs().max() <= rho_u
    assert torch.equal(d, d.round())
    assert ((images + d >= 0) & (images + d <= 255)).all()


@pytest.mark.parametrize("direction", ["push", "pull"])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_noise_equals_the_plain_algorithm(
    direction: Direction,
    augmentation: Augmentation,
    network: nn.Module,
    reference: Reference,
    batch: tuple[Tensor, Tensor],
) -> None:
    """Written out image by image, with the features of the layers themselves."""
    images, labels = batch
    problem, generator, features = task(direction, 8, augmentation), draws(4), body(network)
    d = plain.start(images, 8, generator)
    d = (images + d).clamp(0, 255) - images
    for _ in range(4):
        t = plain.transform(augmentation, images, generator)
        protected = (images + d).requires_grad_()
        loss = torch.zeros(())
        for g, y in zip(features(t(protected)), labels.tolist(), strict=True):
            distances = [float((g - mean).detach().square().mean()) for mean in reference.means]
            if direction == "push":
                loss = loss - (g - reference.means[y]).square().mean()
            else:
                other = min((label for label in range(CLASSES) if label != y), key=distances.__getitem__)
                loss = loss + (g - reference.means[other]).square().mean()
        (gradient,) = torch.autograd.grad(loss, protected)
        d = (d - 0.3 * 8 * gradient.sign()).clamp(-8, 8)
        d = (images + d).clamp(0, 255) - images
    found = entf.noise(reference, Batch(images, labels, problem, draws(4)))
    assert share_equal(found, d.round()) >= ALL_BUT_ONE
    assert reference.network.images == entf.noise_passes(problem) * len(images) == 4 * len(images)


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_the_noise_moves_features_as_it_should(
    direction: Direction, network: nn.Module, train: Split, single: FrozenNetwork
) -> None:
    problem = replace(
        task(direction, 60, Augmentation()), settings=Entf(algorithm="entf", direction=direction, steps=20)
    )
    means = entf.basis(single, train, problem, 0, CPU).means
    images, labels = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float(), torch.from_numpy(train.labels)
    d = entf.noise(Reference(single, means), Batch(images, labels, problem, draws()))
    features = body(single.network)
    before, after = (torch.cdist(features(x).double(), means) for x in (images, images + d))
    own = torch.nn.functional.one_hot(labels, CLASSES).bool()
    if direction == "push":
        assert (after[own] > before[own]).all()
    else:
        others = [distances.masked_fill(own, torch.inf).min(1).values for distances in (before, after)]
        assert (others[1] < others[0]).all()


def test_the_means_are_those_of_each_classs_clean_images(
    train: Split, single: FrozenNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = entf.basis(single, train, task(), 0, CPU)
    monkeypatch.setattr(entf, "BATCH", 7)
    parts = entf.basis(single, train, task(), 1, CPU)
    torch.testing.assert_close(whole.means, parts.means, rtol=1e-6, atol=1e-6)
    features = body(single.network)(torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float()).double()
    for label in range(CLASSES):
        of_class = features[torch.from_numpy(train.labels) == label]
        torch.testing.assert_close(whole.means[label], of_class.mean(0), rtol=1e-6, atol=1e-6)
    assert whole.network is single
    assert single.images == 0  # forward passes only


def test_a_class_without_images_is_refused(train: Split, fixed: FrozenNetwork) -> None:
    lacking = Split(train.images, np.zeros_like(train.labels), train.classes)
    with pytest.raises(UserError, match=r"^method entf: class dog has no training image, so no mean features$"):
        entf.basis(fixed, lacking, task(), 0, CPU)


def test_equal_draws_give_equal_noise_and_others_another(reference: Reference, batch: tuple[Tensor, Tensor]) -> None:
    first, again, other = (entf.noise(reference, Batch(*batch, task(), draws(seed))) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_an_images_noise_does_not_depend_on_its_batch(
    direction: Direction, reference: Reference, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_draws, "BLOCK", 3)
    images, labels = batch

    def in_batches_of(size: int) -> Tensor:
        parts = []
        for start in range(0, 7, size):
            stop = min(start + size, 7)
            drawn = block_draws.of_rows(start, stop, 0, "noise", CPU)
            parts.append(entf.noise(reference, Batch(images[start:stop], labels[start:stop], task(direction), drawn)))
        return torch.cat(parts)

    whole = in_batches_of(7)
    for size in (1, 2, 5):
        assert share_equal(in_batches_of(size), whole) >= ALL_BUT_ONE


def test_the_source_model_learns_from_clean_images_under_attack(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    problem, generator = task(), draws(6)
    pixels, d = entf.training_inputs(fixed, Batch(images, labels, problem, draws(6)))
    assert not d.any()
    assert d.shape == images.shape
    z = plain.transform(problem.augmentation, images, generator)(images)
    e = plain.start(z, 4, generator)
    e = (z + e).clamp(0, 255) - z
    for _ in range(2):
        x = (z + e).requires_grad_()
        (g,) = torch.autograd.grad(nn.functional.cross_entropy(network(x), labels, reduction="sum"), x)
        e = (e + 0.6 * 4 * g.sign()).clamp(-4, 4)
        e = (z + e).clamp(0, 255) - z
    assert ((pixels - z - e).abs() < 1e-9).double().mean() >= ALL_BUT_ONE
    assert fixed.images == entf.training_passes(problem) * len(images) == 2 * len(images)
    assert entf.training_passes(replace(problem, rho_a=0)) == 0


def test_every_shard_counts_the_features_of_all_images() -> None:
    problem = task()
    subject = Subject("small-cnn", "cifar", (1, 8, 8), 3, problem.augmentation, "float32")
    assert cost.of_noise(Shard(problem, subject, (1, 8, 8), 10, 25, 100)) == [
        Amount(subject.work("gradient", 10), 4 * 25, 4 * 3),
        Amount(subject.work("forward", 256), 100),
    ]


def test_noise_is_as_large_as_the_image_when_crops_are_resized(train: Split) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES))
    problem = task("pull", 8, Augmentation(flip=True, resized_crop=8))
    wide = Split(np.random.default_rng(0).integers(0, 256, (40, 12, 14, 1), np.uint8), train.labels, train.classes)
    images, labels = torch.from_numpy(wide.images[:]).permute(0, 3, 1, 2).float(), torch.from_numpy(wide.labels)
    with frozen(network, torch.float32, micro_batch=9) as small:
        d = entf.noise(entf.basis(small, wide, problem, 0, CPU), Batch(images, labels, problem, draws()))
        assert d.shape == images.shape
        assert 0 < d.abs().max() <= 8
        assert entf.training_inputs(small, Batch(images, labels, problem, draws()))[0].shape == (40, 1, 8, 8)


def test_the_authors_values_are_the_defaults() -> None:
    s = Entf(algorithm="entf")
    assert (s.direction, s.steps, s.alpha, s.k_a, s.alpha_a) == ("push", 300, 0.05, 10, 0.5)
