"""What is timed: the networks, and the steps of the method on them, done the plain way and by the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import plain
from unlearnable import models
from unlearnable.attacks import FrozenNetwork, ascend, frozen
from unlearnable.data.images import Split
from unlearnable.descent import Problem
from unlearnable.device import choose_precision
from unlearnable.noises import em, rem
from unlearnable.resume import Loop
from unlearnable.settings.dataset import Augmentation
from unlearnable.settings.methods.em import Em
from unlearnable.settings.methods.rem import Rem
from unlearnable.settings.training import Precision, Victim
from unlearnable.training import fit
from unlearnable.transforms import draw

BATCH = 128
CLASSES = 10


@dataclass(frozen=True)
class Subject:
    """A network on images of one size, and how much of each step to time."""

    network: str
    channels: int
    size: int
    problem: Problem
    noise_descents: int
    updates: int  # SGD steps in one timing


def subjects(device: torch.device) -> list[Subject]:
    """The two networks; full REM steps on a GPU, shorter ones on a CPU."""
    full = device.type == "cuda"
    cifar = Problem(
        Rem(algorithm="rem", k_u=1, k_a=10 if full else 5, j=5 if full else 2),
        8,
        4,
        Augmentation(flip=True, crop_padding=4),
        CLASSES,
    )
    small = Problem(
        Rem(algorithm="rem", k_u=1, k_a=5, j=2, clip="pixels"), 20, 5, Augmentation(crop_padding=1), CLASSES
    )
    return [
        Subject("resnet18", 3, 32, cifar, 1, 5 if full else 1),
        Subject("small-cnn", 1, 28, small, 4, 20),
    ]


@dataclass(frozen=True)
class Step:
    """One line of the table: the same work done twice."""

    name: str
    passes: int
    plain: Callable[[], object]
    fast: Callable[[], object]


def steps(subject: Subject, precision: Precision, device: torch.device, workers: int) -> list[Step]:
    """What is timed for one network. Data, networks and loaders are ready before the clock starts."""
    draws = np.random.default_rng(0)
    rows = 8 * BATCH
    shape = (rows, subject.size, subject.size, subject.channels)
    split = Split(draws.integers(0, 256, shape, np.uint8), np.arange(rows) % CLASSES, [str(c) for c in range(CLASSES)])
    images, labels = split.on(device)
    x, y = images[:BATCH].float(), labels[:BATCH]
    network = models.create(subject.network, subject.channels, CLASSES, subject.size, 0, device)
    rival = plain.unfolded(network).to(device)
    optimizer = torch.optim.SGD(rival.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)
    batches = plain.loader(images.float().cpu(), labels.cpu(), BATCH, workers)
    next(batches)  # the workers run
    generator = torch.Generator(device).manual_seed(0)
    problem, s, dtype = subject.problem, subject.problem.settings, choose_precision(precision, device)
    em_problem = replace(problem, settings=Em(algorithm="em", k_u=4 * subject.noise_descents))
    robust = replace(problem, settings=s.model_copy(update={"k_u": subject.noise_descents}))
    source = replace(problem, settings=s.model_copy(update={"j": 1, "k_a": min(s.k_a, 5)}))
    training = Victim(network=subject.network, steps=subject.updates, lr=1e-3, batch_size=BATCH, precision=precision)
    k_a = s.k_a

    def contiguous(noise: Callable[..., object]) -> object:
        rival.eval().requires_grad_(False)
        try:
            return noise()
        finally:
            rival.requires_grad_(True)

    def fast(noise: Callable[..., Tensor], task: Problem) -> Callable[[], object]:
        def run() -> Tensor:
            with frozen(network, dtype) as fixed:
                return noise(fixed, x, y, task, generator)

        return run

    def train(inputs: Callable[[FrozenNetwork, Tensor, Tensor, torch.Generator], Tensor]) -> Callable[[], object]:
        return lambda: fit(
            network, images, labels, training, inputs, Loop(), seed=0, stage="benchmark", row_every=training.steps
        )

    def plain_train(step: Callable[..., None], *rest: Any) -> Callable[[], object]:
        def run() -> None:
            for _ in range(subject.updates):
                a, b = next(batches)
                step(rival, optimizer, a.to(device), b.to(device), *rest, generator)

        return run

    def attacked(fixed: FrozenNetwork, a: Tensor, b: Tensor, g: torch.Generator) -> Tensor:
        z = draw(problem.augmentation, len(a), g)(a)
        return z + ascend(fixed, z, b, problem.rho_a, k_a, s.alpha_a, g)

    t = source.settings
    return [
        Step(
            "REM noise step",
            robust.settings.k_u * robust.settings.j * (k_a + 1),
            lambda: contiguous(lambda: plain.robust_noise(rival, x.contiguous(), y, robust, k_a, generator)),
            fast(rem.noise, robust),
        ),
        Step(
            "EM noise step",
            em_problem.settings.k_u,
            lambda: contiguous(lambda: plain.em_noise(rival, x.contiguous(), y, em_problem, generator)),
            fast(em.noise, em_problem),
        ),
        Step(
            "source-training step",
            subject.updates * (t.k_u * t.j * (t.k_a + 1) + t.k_a + 1),
            plain_train(plain.source_step, source),
            train(lambda fixed, a, b, g: rem.training_inputs(fixed, a, b, source, g)),
        ),
        Step(
            "adversarial victim step",
            subject.updates * (k_a + 1),
            plain_train(plain.victim_step, problem.augmentation, problem.rho_a, k_a, s.alpha_a),
            train(attacked),
        ),
    ]
