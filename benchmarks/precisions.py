"""A pass and a matrix product in float32 and in bfloat16, in turn, and whether ``auto`` chooses the faster."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.ceiling import matmul_flops, seconds
from benchmarks.steps import BATCH, CLASSES, Subject, data
from unlearnable.compute.device import choose_precision
from unlearnable.compute.frozen import frozen
from unlearnable.networks import build as models

BOTH = (torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Speeds:
    """Seconds of a piece of work in each precision."""

    work: str
    float32: float
    bfloat16: float


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware has instructions for bfloat16; to emulate them takes minutes and says nothing."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def compare(subjects: Sequence[Subject], device: torch.device, repetitions: int) -> list[Speeds]:
    """The speeds of a large matrix product, and of a pass of a batch through each network."""
    product = [1e9 / matmul_flops(precision, device) for precision in BOTH]
    return [Speeds("1 GFLOP of a large matrix product", *product)] + [
        Speeds(f"a pass of {BATCH} images, {subject.network}", *_passes(subject, device, repetitions))
        for subject in subjects
    ]


def _passes(subject: Subject, device: torch.device, repetitions: int) -> list[float]:
    _, images, labels = data(subject, device)
    x, y = images[:BATCH].float(), labels[:BATCH]
    network = models.create(subject.network, subject.channels, CLASSES, subject.size, 0, device)
    times: dict[torch.dtype, list[float]] = {precision: [] for precision in BOTH}
    for _ in range(repetitions + 1):
        for precision in BOTH:
            with frozen(network, precision) as fixed:
                times[precision].append(seconds(partial(fixed.gradient, x, y), device))
    return [statistics.median(times[precision][1:]) for precision in BOTH]  # the first is to warm up


def facts(speeds: Sequence[Speeds], device: torch.device) -> list[str]:
    """A line for each piece of work and, where ``auto`` chooses the slower precision, a warning."""
    chosen = choose_precision("auto", device)
    lines = [
        f"{each.work}: float32 {1000 * each.float32:.3g} ms, bfloat16 {1000 * each.bfloat16:.3g} ms, "
        f"ratio {each.float32 / each.bfloat16:.2f}"
        for each in speeds
    ]
    name = str(chosen).removeprefix("torch.")
    slower = [each.work for each in speeds if (each.bfloat16 < each.float32) != (chosen == torch.bfloat16)]
    lines.append(f"`precision: auto` chooses {name} here")
    if slower:
        lines.append(f"**Warning: {name} is the slower** for {'; '.join(slower)}: set `precision` by hand")
    return lines
