"""Timing work: what is timed is what jobs do, fewer images where time is short, and nothing beyond the time given."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from unlearnable.networks.facts import operations
from unlearnable.noises.ntga.cost import KernelWork
from unlearnable.noises.pil.cost import LinearWork
from unlearnable.tools.plan.calibration import THREADS, Speed, by_operations, calibrate, timed
from unlearnable.tools.plan.publishing import PublishingWork
from unlearnable.tools.plan.reading import ROOT
from unlearnable.training.work import Kind, NetworkWork

CPU = torch.device("cpu")
SMALL = NetworkWork("gradient", "small-cnn", "cifar", (1, 8, 8), 3, "float32", 16)
RESNET = NetworkWork("gradient", "resnet18", "cifar", (3, 32, 32), 10, "float32", 128)


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.parametrize(
    "kind",
    [
        SMALL,
        replace(SMALL, work="step"),
        replace(SMALL, work="forward"),
        PublishingWork((3, 8, 8), batch=4),
        KernelWork((1, 8, 8), 3, 6, 5, "relu"),
        LinearWork("learn", 64, 3, 6),
        LinearWork("descend", 64, 3, 6),
    ],
)
def test_every_kind_of_work_is_timed_with_a_whole_batch_where_time_allows(kind: Kind) -> None:
    speed = timed(kind, CPU, 3)
    assert speed.images == kind.batch
    assert 0 < speed.seconds < 3


@pytest.mark.parametrize("batch", [10**9, 2**63 - 1])
def test_a_batch_that_no_memory_holds_is_a_refusal_and_not_a_traceback(batch: int) -> None:
    found = calibrate([replace(SMALL, shape=(3, 512, 512), batch=batch), SMALL], CPU, 3)
    assert list(found.speeds) == [SMALL]
    (refusal,) = found.refusals
    assert re.fullmatch(rf"small-cnn, batch_size {batch}: its pixels take .* GiB are free; lower batch_size", refusal)


def test_fewer_images_are_timed_where_a_batch_would_take_too_long() -> None:
    started = time.monotonic()
    speed = timed(RESNET, CPU, 0.2)
    assert 2 <= speed.images < RESNET.batch
    assert speed.seconds * RESNET.batch > 0.2
    assert time.monotonic() - started < 60


def test_what_is_timed_has_the_size_of_the_images() -> None:
    widths: list[int] = []

    def note(module: nn.Module, inputs: object, out: object) -> None:
        if isinstance(out, Tensor) and out.ndim == 4:
            widths.append(out.shape[-1])

    largest = []
    with register_module_forward_hook(note):
        for size in (8, 32):
            widths.clear()
            timed(replace(RESNET, shape=(3, size, size), batch=4), CPU, 0)
            largest.append(max(widths))
    assert largest == [8, 32]


def test_beyond_the_time_given_operations_are_counted() -> None:
    large = replace(SMALL, shape=(1, 16, 16))
    found = calibrate([SMALL, large, replace(large, work="step")], CPU, seconds=0.0)
    assert found.speeds == {}  # nothing was timed, so there is no rate
    known: dict[Kind, Speed] = {SMALL: Speed(1e-3, 16)}
    reckoned = by_operations(large, known)
    assert reckoned is not None
    assert reckoned.images == 0
    convolutions = operations("small-cnn", (1, 16, 16), 3, "cifar") / operations("small-cnn", (1, 8, 8), 3, "cifar")
    assert reckoned.seconds == pytest.approx(1e-3 * convolutions)
    assert convolutions == pytest.approx(4, rel=0.1)
    assert by_operations(replace(large, work="step"), known) is None


def test_the_rate_is_that_of_the_same_network_where_it_was_timed() -> None:
    of_small = Speed(operations(SMALL.network, SMALL.shape, 3, "cifar") * 1e-9, 16)
    of_resnet = Speed(operations(RESNET.network, RESNET.shape, 10, "cifar") * 5e-9, 16)
    larger = replace(RESNET, shape=(3, 64, 64))
    reckoned = by_operations(larger, {SMALL: of_small, RESNET: of_resnet})
    assert reckoned is not None
    assert reckoned.seconds == pytest.approx(operations("resnet18", (3, 64, 64), 10, "cifar") * 5e-9)


def test_images_that_a_network_cannot_take_are_told_once_and_hold_nothing_up() -> None:
    odd = replace(SMALL, shape=(1, 9, 9))
    found = calibrate([odd, replace(odd, work="step"), SMALL], CPU, seconds=5)
    assert list(found.speeds) == [SMALL]
    (refusal,) = found.refusals
    assert "small-cnn" in refusal
    assert "1x9x9" in refusal


def test_the_rules_give_jobs_as_many_threads_as_are_timed() -> None:
    for rule in ("source_model", "noise", "victim"):
        (threads,) = re.findall(r"^    threads: (\d+)$", (ROOT / f"rules/{rule}.smk").read_text(), re.MULTILINE)
        assert int(threads) == THREADS
