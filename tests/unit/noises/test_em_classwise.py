"""Class-wise error-minimizing noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.noises.em_classwise import noise as em_classwise
from unlearnable.noises.method import Batch, Problem

from .problems import (
    CLASSES,
    CPU,
    draws,
    of,
    problem,
)


def class_step(fixed: FrozenNetwork, images: Tensor, labels: Tensor, noises: Tensor, task: Problem[Any]) -> Tensor:
    """One batch of Huang et al.'s class-wise noise, written out class by class and image by image."""
    s, after = task.settings, noises.clone()
    for label in set(labels.tolist()):
        moved = []
        for x in images[labels == label]:
            d = (x + noises[label]).clamp(0, 255) - x
            for _ in range(s.k_u):
                g = fixed.gradient((x + d)[None], torch.tensor([label]))[0]
                d = (d - s.alpha_u * task.rho_u * g.sign()).clamp(-task.rho_u, task.rho_u)
                d = (x + d).clamp(0, 255) - x
            moved.append(d)
        after[label] = torch.stack(moved).mean(0)
    return after


def test_a_class_gets_the_mean_of_its_images_noises_and_others_keep_theirs(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, _ = batch
    labels = torch.tensor([2, 0, 2, 2, 0, 2, 2])
    task = problem("em-classwise")
    noises = torch.empty(CLASSES, *images.shape[1:]).double().uniform_(-8, 8, generator=draws(1))
    found = em_classwise.updated(fixed, Batch(images, labels, task, draws()), noises)
    torch.testing.assert_close(found, class_step(fixed, images, labels, noises, task), rtol=1e-9, atol=1e-9)
    assert torch.equal(found[1], noises[1])
    assert (found[[0, 2]] != noises[[0, 2]]).any(3).any(2).all()
    assert found.abs().max() <= 8


def test_source_training_moves_the_noises_of_classes(fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]) -> None:
    images, _ = batch
    labels = torch.tensor([2, 0, 2, 2, 0, 1, 2])
    task = problem("em-classwise", Augmentation())
    noises = torch.empty(CLASSES, *images.shape[1:]).double().uniform_(-8, 8, generator=draws(1))
    pixels, d = em_classwise.training_inputs(fixed, Batch(images, labels, task, draws(), noises[labels]))
    expected = class_step(fixed, images, labels, noises, task)
    torch.testing.assert_close(d, expected[labels], rtol=1e-9, atol=1e-9)
    assert torch.equal(pixels, (images + d.round()).clamp(0, 255))


def test_class_noises_are_made_on_a_balanced_share_from_a_random_start(
    train: Split, single: FrozenNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = problem("em-classwise")
    task = replace(task, settings=task.settings.model_copy(update={"share": 0.5, "rounds": 2, "k_u": 1}))
    seen: list[tuple[Tensor, Tensor]] = []
    updated = em_classwise.updated

    def seeing(network: FrozenNetwork, batch: Batch[Any], noises: Tensor) -> Tensor:
        seen.append((batch.images, batch.labels))
        return updated(network, batch, noises)

    with monkeypatch.context() as patch:
        patch.setattr(em_classwise, "updated", seeing)
        patch.setattr(em_classwise, "BATCH", 6)
        noises = em_classwise.basis(single, train, task, 4, CPU)
    assert [len(labels) for _, labels in seen] == [6, 6, 6, 2] * 2
    labels = torch.cat([labels for _, labels in seen])
    shares = np.bincount(train.labels) / 2
    assert (np.abs(torch.bincount(labels[:20]).numpy() - shares) <= 1).all()
    first, second = (
        sorted(map(float, torch.cat([x for x, _ in part]).flatten(1) @ torch.arange(48.0)))
        for part in (seen[:4], seen[4:])
    )
    assert first == second  # the same images in both rounds
    assert not torch.equal(labels[:20], labels[20:])  # in another order

    assert noises.shape == (CLASSES, 1, 6, 8)
    assert torch.equal(noises, noises.round())
    assert noises.abs().max() <= 8
    assert single.images == 2 * 20
    assert em_classwise.noise_passes(task) == 1  # of half the images, twice
    one, again, other = (em_classwise.basis(single, train, task, seed, CPU) for seed in (4, 4, 5))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_class_noises_lower_the_loss_of_their_classes(train: Split, single: FrozenNetwork) -> None:
    task = problem("em-classwise", rho_u=40)
    noises = em_classwise.basis(single, train, task, 0, CPU)
    images = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float()
    labels = torch.from_numpy(train.labels)
    mine, of_the_next = (
        em_classwise.noise(noises, Batch(images, y, task, draws())) for y in (labels, (labels + 1) % CLASSES)
    )
    losses = [float(single.losses((images + d).clamp(0, 255), labels).mean()) for d in (mine, 0 * mine, of_the_next)]
    assert losses[0] < losses[1] - 0.1 < losses[2] - 0.1


def test_no_image_gets_the_noise_of_a_row_and_no_class_that_of_an_image(train: Split, fixed: FrozenNetwork) -> None:
    images = torch.from_numpy(train.images[:12]).permute(0, 3, 1, 2).double()
    labels = torch.tensor([2, 2, 1, 0, 0, 1, 2, 0, 1, 1, 2, 0])
    noises = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 1, 6, 8)
    d = em_classwise.noise(noises, Batch(images, labels, problem("em-classwise"), draws()))
    assert d[:, 0, 0, 0].tolist() == labels.tolist()  # by the image's label, not by its place

    own = of("em").noise(fixed, Batch(images, labels, problem("em"), draws()))
    assert len({tuple(row.flatten().tolist()) for row in own}) == 12  # each image's own, not its class's


def test_a_class_that_the_share_lacks_keeps_its_draw(single: FrozenNetwork) -> None:
    images = np.zeros((40, 6, 8, 1), np.uint8)
    train = Split(images, np.array([0] * 39 + [1]), ["cat", "dog", "owl"])
    task = problem("em-classwise", clip="box")
    settings = task.settings.model_copy(update={"share": 0.05, "rounds": 1})
    noises = em_classwise.basis(single, train, replace(task, settings=settings), 0, CPU)
    assert noises[2].abs().max() > 4
    assert len(torch.unique(noises[2])) > 5
