"""How long work takes on the machine at hand: each kind of it is timed for about a second, the way jobs do it."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute import memory
from unlearnable.compute.device import autocast, choose_precision
from unlearnable.compute.frozen import frozen
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.encoded import MODES, decode, encode
from unlearnable.errors import UserError
from unlearnable.networks.build import create
from unlearnable.networks.facts import operations
from unlearnable.noises.method import Problem
from unlearnable.noises.ntga import noise as ntga
from unlearnable.noises.ntga.settings import Ntga
from unlearnable.tools.plan.work import KernelWork, Kind, NetworkWork, PublishingWork
from unlearnable.training.memory import require_step

SECONDS_EACH = 1.5  # for a kind of work
SECONDS_IN_ALL = 60.0
REPETITIONS = 3
FIRST = 2  # images, before it is known how many the time allows; batch norm learns from no fewer
BLOCK_VALUES = 2**22  # of the images in a block of NTGA and of those held out, beyond which they are timed cropped
THREADS = 1  # of a job, as the rules have it
Once = Callable[[int], object]  # does a kind of work once, for so many images


@dataclass(frozen=True)
class Speed:
    """How long a kind of work takes.

    Attributes:
        seconds: for one image.
        images: how many were timed at once; 0 where operations were counted, and their rate was that of other kinds.
    """

    seconds: float
    images: int


@dataclass(frozen=True)
class Calibration:
    """What was found out about kinds of work.

    Attributes:
        speeds: of each kind; those are missing that are refused, or to which nothing that was timed is similar.
        refusals: what jobs will be refused for, such as too little memory; one line each.
    """

    speeds: dict[Kind, Speed]
    refusals: list[str]


def calibrate(kinds: list[Kind], device: torch.device, seconds: float = SECONDS_IN_ALL) -> Calibration:
    """Time kinds of work.

    Where a full batch would take too long, fewer images are timed. When ``seconds`` are over, the other kinds get the
    time that their operations would take at the rate of similar ones. Nothing is compiled, as long jobs on a GPU are.

    Args:
        kinds: without repetition, the most important first.
        device: where jobs compute.
        seconds: to spend in all.
    """
    deadline = time.monotonic() + seconds
    found: dict[Kind, Speed] = {}
    refusals: list[str] = []
    for kind in kinds:
        left = deadline - time.monotonic()
        try:
            speed = timed(kind, device, min(SECONDS_EACH, left)) if left > 0 else by_operations(kind, found)
        except UserError as error:
            refusals.append(str(error))
        else:
            if speed is not None:
                found[kind] = speed
    return Calibration(found, list(dict.fromkeys(refusals)))


def timed(kind: Kind, device: torch.device, seconds: float) -> Speed:
    """Time one kind of work, with as many images of a batch as ``seconds`` allow, and at least ``FIRST``."""
    if isinstance(kind, KernelWork):
        return _timed_block(kind, device, seconds)
    with _publishing(kind) if isinstance(kind, PublishingWork) else _prepared(kind, device) as once:
        started = time.monotonic()
        images = min(FIRST, kind.batch)
        if device.type == "cuda":
            once(images)  # the first call of all sets up much that later ones find
        times = [_seconds(once, images, device)]
        while (more := min(kind.batch, int(images * seconds / (REPETITIONS + 1) / times[0]))) > images:
            images, times = more, [_seconds(once, more, device)]
        while len(times) < REPETITIONS and time.monotonic() - started + times[-1] < seconds:
            times.append(_seconds(once, images, device))
    return Speed(statistics.median(times) / images, images)


def _seconds(once: Once, images: int, device: torch.device) -> float:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    wait()
    started = time.perf_counter()
    once(images)
    wait()
    return time.perf_counter() - started


@contextmanager
def _prepared(kind: NetworkWork, device: torch.device) -> Iterator[Once]:
    """A network and a batch, and what does the work on them."""
    precision = choose_precision(kind.precision, device)
    channels, size, _ = kind.shape
    on_gpu = device.type == "cuda"
    network = create(kind.network, channels, kind.classes, size, 0, device, kind.stem)
    pixels = (255 * torch.rand(kind.batch, *kind.shape, device=device)).to(memory_format=torch.channels_last)
    labels = torch.zeros(kind.batch, dtype=torch.int64, device=device)
    if kind.work == "step":
        if on_gpu:  # on a CPU it would take long to find out
            require_step(network, kind.shape, precision, device, kind.batch, kind.network)
        network.train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9, weight_decay=5e-4)

        def step(images: int) -> None:
            with autocast(device, precision):
                logits = network(pixels[:images])
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits.float(), labels[:images]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        yield step
        return
    at_once = memory.micro_batch(network, kind.shape, precision, device) if on_gpu else memory.CPU_MICRO_BATCH
    with frozen(network, precision, at_once) as fixed:
        if kind.work == "gradient":
            yield lambda images: fixed.gradient(pixels[:images], labels[:images])
        else:
            yield lambda images: fixed.logits(pixels[:images])


@contextmanager
def _publishing(kind: PublishingWork) -> Iterator[Once]:
    """Images as smooth as photographs, and with as much noise as published ones."""
    draws = np.random.default_rng(0)
    channels, height, width = kind.shape
    coarse = draws.integers(0, 256, (kind.batch, -(-height // 8), -(-width // 8), channels), np.int16)
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    images = np.clip(smooth + draws.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)
    yield lambda count: [decode(encode(image), "", None, MODES[channels]) for image in images[:count]]


def _timed_block(kind: KernelWork, device: torch.device, seconds: float) -> Speed:
    """Time one step of NTGA on a whole block; of large images only a part, to whose size the time is proportional."""
    values = math.prod(kind.shape)
    part = min(values, BLOCK_VALUES // (kind.batch + kind.held_out))
    settings = Ntga(algorithm="ntga", held_out=kind.held_out, activation=kind.activation)
    problem = Problem(settings, rho_u=8, rho_a=0, augmentation=Augmentation(), classes=kind.classes)
    images = 255 * torch.rand(kind.batch, 1, 1, part, device=device)
    pixels = torch.rand(kind.held_out, part, dtype=torch.float64, device=device)
    labels = torch.arange(kind.batch + kind.held_out, device=device) % kind.classes
    held_out = ntga.HeldOut(pixels, labels[kind.batch :])

    def step(count: int) -> Tensor:
        return ntga.held_out_gradient(images[:count], labels[:count], held_out, problem)

    times = [_seconds(step, kind.batch, device)]
    while len(times) < REPETITIONS and sum(times) + times[-1] < seconds:
        times.append(_seconds(step, kind.batch, device))
    return Speed(statistics.median(times) / kind.batch * values / part, kind.batch)


def by_operations(kind: Kind, speeds: dict[Kind, Speed]) -> Speed | None:
    """The speed that follows from the operations of a forward pass, at the rate of the same work of other kinds.

    Of the same network where that was timed, else of any. None where no such work was timed, or it is no network's.

    Raises:
        UserError: the network cannot take images of this size.
    """
    if not isinstance(kind, NetworkWork):
        return None
    networks = [other for other in speeds if isinstance(other, NetworkWork) and speeds[other].images]
    alike = [other for other in networks if other.work == kind.work]
    alike = [other for other in alike if other.network == kind.network] or alike
    if not alike:
        return None
    rates = [speeds[other].seconds / _operations(other) for other in alike]
    return Speed(statistics.median(rates) * _operations(kind), 0)


def _operations(kind: NetworkWork) -> int:
    return operations(kind.network, kind.shape, kind.classes, kind.stem)


def start_up_seconds() -> float:
    """How long a job takes before it begins: Python starts and imports torch and the library."""
    script = "from snakemake import script; import unlearnable.jobs.long_job, unlearnable.stages.victim"
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True)
    return time.monotonic() - started
