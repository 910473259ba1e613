"""The shares of time in a step, by kind of operation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

# Pieces of operators' names, by kind; the first that fits counts. The rest is "other": pointwise work, copies, gathers.
KINDS = {
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("convolution",),
    "batch norm": ("batch_norm",),
    "activations": ("relu", "threshold", "clamp_min"),
    "transforms": ("gather", "pad", "stack", "cat", "slice"),
}


def shares(work: Callable[[], object], device: torch.device) -> dict[str, float]:
    """The share of each kind of operation in the time of ``work``, on the device's own clock."""
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    with profile(activities=activities) as profiler:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    spent = dict.fromkeys([*KINDS, "other"], 0.0)
    for event in profiler.key_averages():
        took = event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total
        kind = next((k for k, names in KINDS.items() if any(n in event.key for n in names)), "other")
        spent[kind] += took
    total = sum(spent.values())
    return {kind: time / total for kind, time in spent.items()}
