"""How long work takes on this machine: each kind is timed for about a second, in the same way as in jobs."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import torch

from unlearnable.compute.memory import GIB, free_bytes
from unlearnable.errors import UserError
from unlearnable.networks.facts import operations
from unlearnable.training.work import Kind, NetworkWork, Once

SECONDS_EACH = 1.5  # for a kind of work
SECONDS_IN_ALL = 60.0
REPETITIONS = 3
THREADS = 1  # of a job, as in the rules


@dataclass(frozen=True)
class Speed:
    """How long a kind of work takes.

    Attributes:
        seconds: for one image.
        images: number timed at once; 0 if the time follows from counted operations and the rate of other kinds.
    """

    seconds: float
    images: int


@dataclass(frozen=True)
class Calibration:
    """The results of timing kinds of work.

    Attributes:
        speeds: of each kind; missing for kinds that are refused or resemble nothing that was timed.
        refusals: why jobs will be refused, such as too little memory; one line each.
    """

    speeds: dict[Kind, Speed]
    refusals: list[str]


def calibrate(kinds: list[Kind], device: torch.device, seconds: float = SECONDS_IN_ALL) -> Calibration:
    """Time kinds of work.

    If a full batch would take too long, fewer images are timed. After ``seconds``, the time of the other kinds is
    estimated from their operations, at the rate of similar kinds. Nothing is compiled, unlike in long jobs on a GPU.

    Args:
        kinds: distinct, the most important first.
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
    """Time one kind of work, with as many images of a batch as ``seconds`` allow, and at least its fewest."""
    if isinstance(kind, NetworkWork):
        _require_room(kind, device)
    with kind.prepared(device) as once:
        started = time.monotonic()
        images = min(kind.fewest, kind.batch)
        if device.type == "cuda":
            once(images)  # the first call sets up much that later calls reuse
        times = [_seconds(once, images, device)]
        while (more := min(kind.batch, int(images * seconds / (REPETITIONS + 1) / times[0]))) > images:
            images, times = more, [_seconds(once, more, device)]
        while len(times) < REPETITIONS and time.monotonic() - started + times[-1] < seconds:
            times.append(_seconds(once, images, device))
    return Speed(statistics.median(times) / images * kind.scale, images)


def _require_room(kind: NetworkWork, device: torch.device) -> None:
    """Make sure that the pixels of a batch, float32 and held twice while they are drawn, fit into the free memory."""
    needed, free = 8 * kind.batch * math.prod(kind.shape), free_bytes(device)
    if needed > free:
        raise UserError(
            f"{kind.network}, batch_size {kind.batch}: its pixels take {needed / GIB:,.0f} GiB, "
            f"and {free / GIB:,.0f} GiB are free; lower batch_size"
        )


def _seconds(once: Once, images: int, device: torch.device) -> float:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    wait()
    started = time.perf_counter()
    once(images)
    wait()
    return time.perf_counter() - started


def by_operations(kind: Kind, speeds: dict[Kind, Speed]) -> Speed | None:
    """The speed estimated from the operations of a forward pass, at the rate of the same work of other kinds.

    The rate is that of the same network if it was timed, otherwise of any. None if no such work was timed, or if the
    work has no network.

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
    """Seconds before a job begins its work: Python starts and imports torch and the library."""
    script = "from snakemake import script; import unlearnable.jobs.long_job, unlearnable.stages.victim"
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True)
    return time.monotonic() - started
