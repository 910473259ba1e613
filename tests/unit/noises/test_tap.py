"""Targeted adversarial poisons."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.method import Batch
from unlearnable.noises.tap.settings import Tap

from .problems import (
    ALL_BUT_ONE,
    CLASSES,
    SETTINGS,
    draws,
    of,
    problem,
    share_equal,
)


def test_tap_pulls_towards_the_next_class_and_the_last_towards_the_first() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(CLASSES, CLASSES, bias=False)).double()
    with torch.no_grad():  # pixel c votes for class c
        network[1].weight.copy_(torch.eye(CLASSES) / 50)  # type: ignore[operator]
    images = torch.full((CLASSES, 1, 1, CLASSES), 100.0).double()
    settings = SETTINGS["tap"].model_copy(update={"steps": 20})
    task = replace(problem("tap", Augmentation()), settings=settings)
    with frozen(network, torch.float32) as fixed:
        d = of("tap").noise(fixed, Batch(images, torch.arange(CLASSES), task, draws()))
    assert d.view(CLASSES, CLASSES).tolist() == [[-8, 8, -8], [-8, -8, 8], [8, -8, -8]]


def test_tap_keeps_the_restart_of_lowest_loss_for_each_image(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem("tap")
    s, generator = task.settings, draws(3)
    targets = torch.tensor([(int(label) + 1) % CLASSES for label in labels])
    candidates = []
    for _ in range(s.restarts):
        protected = (images + plain.start(images, task.rho_u, generator)).clamp(0, 255)
        for _ in range(s.steps):
            t = plain.transform(task.augmentation, images, generator)
            protected.requires_grad_()
            (g,) = torch.autograd.grad(F.cross_entropy(network(t(protected)), targets), protected)
            d = (protected.detach() - s.alpha * task.rho_u * g.sign() - images).clamp(-task.rho_u, task.rho_u)
            protected = (images + d).clamp(0, 255)
        candidates.append((protected - images).round())
    with torch.no_grad():
        losses = torch.stack([F.cross_entropy(network(images + d), targets, reduction="none") for d in candidates])
    best = losses.argmin(0).tolist()
    assert len(set(best)) > 1  # else this would not tell a choice by image from one for all
    expected = torch.stack([candidates[restart][image] for image, restart in enumerate(best)])

    found = of("tap").noise(fixed, Batch(images, labels, task, draws(3)))
    assert share_equal(found, expected) >= ALL_BUT_ONE
    assert (images + found).min() >= 0
    assert (images + found).max() <= 255


def test_tap_presets_are_those_of_the_papers() -> None:
    original, fu2022 = Tap(algorithm="tap"), Tap(algorithm="tap", preset="fu2022")
    assert (original.steps, round(original.alpha * 8, 9), original.restarts) == (250, 0.4, 8)
    assert (fu2022.steps, round(fu2022.alpha * 8, 9), fu2022.restarts) == (250, 0.064, 1)
    assert Tap(algorithm="tap", steps=3).steps == 3
