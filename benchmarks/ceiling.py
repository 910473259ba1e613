"""The machine's ceiling: the speed of a large matrix product, and the operations of a pass."""

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
    """Seconds of one call of ``work``, including waiting for the device."""
    synchronize(device)
    started = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - started


def matmul_flops(precision: torch.dtype, device: torch.device, repetitions: int = 7) -> float:
    """Operations per second in the fastest of several large matrix products."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(precision) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: a @ b, device) for _ in range(repetitions + 1))


def pass_flops(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Operations of one forward pass and the input gradient in eval mode, as counted by torch."""
    with frozen(network, torch.float32), FlopCounterMode(display=False) as counter:
        F.cross_entropy(network(images.requires_grad_()), labels).backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())
