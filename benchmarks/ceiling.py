"""The machine's own ceiling: what a large matrix product reaches, and the operations that a pass needs."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unlearnable.compute.frozen import frozen


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """The time of one call of ``work``, waited for."""
    synchronize(device)
    started = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - started


def matmul_flops(precision: torch.dtype, device: torch.device, repetitions: int = 7) -> float:
    """Operations a second of the best of some large matrix products."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(precision) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: a @ b, device) for _ in range(repetitions + 1))


def pass_flops(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Operations of one forward pass and the gradient by the input, in eval mode, as torch counts them."""
    with frozen(network, torch.float32), FlopCounterMode(display=False) as counter:
        F.cross_entropy(network(images.requires_grad_()), labels).backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())
