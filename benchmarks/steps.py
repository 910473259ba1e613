"""The timed work: networks and the method's steps on them, in plain code and by the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute.augment import draw
from unlearnable.compute.device import choose_precision
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import COMPILED_FROM_PASSES, choose_engine
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.compute.pgd import ascend, uniform
from unlearnable.countermeasures.base import Lesson
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.networks import build as models
from unlearnable.noises.em import noise as em
from unlearnable.noises.em.settings import Em
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.rem import noise as rem
from unlearnable.noises.rem.settings import Rem
from unlearnable.stages.settings.victim import VictimTraining as Victim
from unlearnable.training.fit import fit
from unlearnable.training.loop import Loop
from unlearnable.training.settings import Precision

BATCH = 128
CLASSES = 10


@dataclass(frozen=True)
class Subject:
    """A network on images of one size, and the part of each step to time."""

    network: str
    channels: int
    size: int
    problem: Problem[Rem]
    noise_descents: int
    updates: int  # SGD steps in one timing


@dataclass(frozen=True)
class Step:
    """One line of the table: the same work done twice."""

    name: str
    passes: int
    plain: Callable[[], object]
    fast: Callable[[], object]


def subjects(device: torch.device) -> list[Subject]:
    """The two networks. On a GPU whole REM steps; on a CPU a few passes of each, which take seconds with ResNet-18."""
    cifar, fashion = Augmentation(flip=True, crop_padding=4), Augmentation(crop_padding=1)
    small = Rem(algorithm="rem", k_u=1, k_a=5, j=2, clip="pixels")
    if device.type == "cuda":
        whole = Rem(algorithm="rem", k_u=1, k_a=10, j=5)
        resnet = Subject("resnet18", 3, 32, Problem(whole, 8, 4, cifar, CLASSES), 10, 3)
    else:
        short = Rem(algorithm="rem", k_u=1, k_a=1, j=2)
        resnet = Subject("resnet18", 3, 32, Problem(short, 8, 4, cifar, CLASSES), 1, 1)
    return [resnet, Subject("small-cnn", 1, 28, Problem(small, 20, 5, fashion, CLASSES), 4, 20)]


def data(subject: Subject, device: torch.device) -> tuple[Feed, Tensor, Tensor]:
    """Random images and labels, eight batches of them: as they are fed to the library, and as tensors."""
    draws = np.random.default_rng(0)
    rows = 8 * BATCH
    shape = (rows, subject.size, subject.size, subject.channels)
    split = Split(draws.integers(0, 256, shape, np.uint8), np.arange(rows) % CLASSES, [str(c) for c in range(CLASSES)])
    feed = Feed(split, device)
    images, labels, _ = next(feed.batches([np.arange(rows)]))
    return feed, images, labels


@contextmanager
def still(network: nn.Module) -> Iterator[nn.Module]:
    """An unfolded network in eval mode without parameter gradients."""
    network.eval().requires_grad_(False)
    try:
        yield network
    finally:
        network.requires_grad_(True)


def steps(subject: Subject, precision: Precision, device: torch.device, workers: int) -> list[Step]:
    """The timed steps for one network. Data, networks and loaders are ready before the clock starts."""
    feed, images, labels = data(subject, device)
    x, y = images[:BATCH].float(), labels[:BATCH]
    network = models.create(subject.network, subject.channels, CLASSES, subject.size, 0, device)
    rival = plain.unfolded(network).to(device)
    optimizer = torch.optim.SGD(rival.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)
    batches = plain.loader(images.float().cpu(), labels.cpu(), BATCH, workers)
    next(batches)  # the workers run
    generator = torch.Generator(device).manual_seed(0)
    problem, s, dtype = subject.problem, subject.problem.settings, choose_precision(precision, device)
    em_settings = Em(algorithm="em", k_u=2 * subject.noise_descents)
    em_problem = Problem(em_settings, problem.rho_u, problem.rho_a, problem.augmentation, problem.classes)
    robust = replace(problem, settings=s.model_copy(update={"k_u": subject.noise_descents}))
    source = replace(problem, settings=s.model_copy(update={"j": 1, "k_a": min(s.k_a, 5)}))
    training = Victim(network=subject.network, steps=subject.updates, lr=1e-3, batch_size=BATCH, precision=precision)
    # As in a job of the paper's length, and so compiled if such a job is.
    engine = choose_engine(network, tuple(x.shape[1:]), dtype, passes=COMPILED_FROM_PASSES)

    def plain_noise(noise: Callable[..., object]) -> object:
        with still(rival):
            return noise()

    def fast(noise: Callable[..., Tensor], task: Problem[Any]) -> Callable[[], object]:
        def run() -> Tensor:
            with engine.frozen() as fixed:
                return noise(fixed, Batch(x, y, task, generator))

        return run

    def lesson(pixels: Tensor, b: Tensor) -> Lesson:
        return Lesson(pixels, b, clean=pixels)

    def train(inputs: Callable[[FrozenNetwork, Tensor, Tensor], Tensor]) -> Callable[[], object]:
        return lambda: fit(
            engine,
            feed,
            training,
            lambda fixed, a, b, rows, draws: lesson(inputs(fixed, a, b), b),
            Loop(),
            shape=feed.shape,
            seed=0,
            stage="benchmark",
            row_every=training.steps,
        )

    def plain_train(step: Callable[..., None], *rest: Any) -> Callable[[], object]:
        def run() -> None:
            for _ in range(subject.updates):
                a, b = next(batches)
                step(rival, optimizer, a.to(device), b.to(device), *rest, generator)

        return run

    def attacked(fixed: FrozenNetwork, a: Tensor, b: Tensor) -> Tensor:
        z = draw(problem.augmentation, a, generator)(a)
        return z + ascend(fixed, z, b, problem.rho_a, s.k_a, s.alpha_a, uniform(z, problem.rho_a, generator))

    def protected(fixed: FrozenNetwork, a: Tensor, b: Tensor) -> Tensor:
        return rem.training_inputs(fixed, Batch(a, b, source, generator))[0]

    before_update = rem.training_passes(source)
    return [
        Step(
            "REM noise step",
            rem.noise_passes(robust),
            lambda: plain_noise(lambda: plain.robust_noise(rival, x.contiguous(), y, robust, s.k_a, generator)),
            fast(rem.noise, robust),
        ),
        Step(
            "EM noise step",
            em.noise_passes(em_problem),
            lambda: plain_noise(lambda: plain.em_noise(rival, x.contiguous(), y, em_problem, generator)),
            fast(em.noise, em_problem),
        ),
        Step(
            "source-training step",
            subject.updates * (before_update + 1),
            plain_train(plain.source_step, source),
            train(protected),
        ),
        Step(
            "adversarial victim step",
            subject.updates * (s.k_a + 1),
            plain_train(plain.victim_step, problem.augmentation, problem.rho_a, s.k_a, s.alpha_a),
            train(attacked),
        ),
    ]


def ladder(subject: Subject, precision: Precision, device: torch.device) -> dict[str, Callable[[], object]]:
    """A REM noise step with one more ingredient of the engine each time, from the plain one up.

    Args:
        subject: network and problem.
        precision: of the last rung, which is left out for float32, as is compilation on a CPU.
        device: where to compute.
    """
    _, images, labels = data(subject, device)
    x, y = images[:BATCH].float(), labels[:BATCH]
    network = models.create(subject.network, subject.channels, CLASSES, subject.size, 0, device)
    contiguous = plain.unfolded(network).to(device)
    last = plain.unfolded(network).to(device).to(memory_format=torch.channels_last)
    dtype = choose_precision(precision, device)
    task, generator = subject.problem, torch.Generator(device).manual_seed(0)
    k_a, batched = task.settings.k_a, {"draw": draw}

    def unfolded(rival: nn.Module, **options: Any) -> object:
        with still(rival):
            return plain.robust_noise(rival, x, y, task, k_a, generator, **options)

    def folded() -> object:
        with frozen(network, torch.float32):
            return plain.robust_noise(network, x, y, task, k_a, generator, draw=draw)

    def joined(dtype: torch.dtype, compiled: Callable[[Tensor], Tensor] | None = None) -> object:
        with frozen(network, dtype, None, compiled) as fixed:
            return rem.noise(fixed, Batch(x, y, task, generator))

    rungs: dict[str, Callable[[], object]] = {
        "plain": lambda: unfolded(contiguous),
        "+ transforms of a whole batch at once": lambda: unfolded(contiguous, **batched),
        "+ channels last": lambda: unfolded(last, **batched),
        "+ batch norm folded": folded,
        "+ J samples joined": lambda: joined(torch.float32),
    }
    if dtype != torch.float32:
        rungs[f"+ {str(dtype).removeprefix('torch.')}"] = lambda: joined(dtype)
    if device.type == "cuda":
        forward = choose_engine(network, tuple(x.shape[1:]), dtype, passes=COMPILED_FROM_PASSES).forward
        rungs["+ compiled, CUDA graphs"] = lambda: joined(dtype, forward)
    return rungs
