"""The memory that a pass needs, known before the run, and the largest batch that fits into the free memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.compute.device import autocast
from unlearnable.compute.frozen import frozen

USABLE = 0.9  # share of the free memory to plan with: the formula ignores workspaces and fragmentation
CPU_MICRO_BATCH = 256  # on a CPU larger batches are no faster
GIB = 2**30
CONTROL_GROUP = Path("/sys/fs/cgroup")
Loss = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Footprint:
    """Peak memory in bytes, without the network itself: ``fixed + per_image * batch``."""

    fixed: int
    per_image: int

    def bytes(self, batch: int) -> int:
        """The peak for a batch."""
        return self.fixed + self.per_image * batch

    def largest(self, free: float) -> int:
        """The largest batch that fits into ``free`` bytes; 0 if none does."""
        return max(0, int((free - self.fixed) // self.per_image))


def of_pass(network: nn.Module, shape: tuple[int, ...], precision: torch.dtype) -> Footprint:
    """The footprint of the input gradient through the frozen network.

    Args:
        network: on the device that will run it.
        shape: of one image, ``(C, H, W)``.
        precision: of its convolutions.
    """
    folded = sum(p.numel() for p in network.parameters()) * precision.itemsize
    with frozen(network, precision):
        return Footprint(folded, per_image(network, shape, precision, _cross_entropy))


def free_bytes(device: torch.device) -> int:
    """Free bytes: on the GPU, or in the memory of the machine and the control group."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    limits = []
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
        limits.append(1024 * int(fields["MemAvailable"].split()[0]))
    for group in _control_groups():
        limit, used = group / "memory.max", group / "memory.current"
        if limit.exists() and (text := limit.read_text().strip()) != "max":
            cached = [line.split() for line in (group / "memory.stat").read_text().splitlines()]
            given_back = sum(int(size) for name, size in cached if name in ("active_file", "inactive_file"))
            limits.append(int(text) - int(used.read_text()) + given_back)  # caches can be dropped
    return min(limits, default=2**63)  # no limit if the system states none


def _control_groups() -> list[Path]:
    """This process's control group, such as Slurm's for a job, and its parents."""
    own = Path("/proc/self/cgroup")
    lines = own.read_text().splitlines() if own.exists() else []
    inner = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    group = CONTROL_GROUP / inner.lstrip("/")
    return [folder for folder in (group, *group.parents) if folder.is_relative_to(CONTROL_GROUP)]


def micro_batch(network: nn.Module, shape: tuple[int, ...], precision: torch.dtype, device: torch.device) -> int:
    """How many images to pass through the frozen network at once: as many as fit, but at least one."""
    fits = max(1, of_pass(network, shape, precision).largest(USABLE * free_bytes(device)))
    return fits if device.type == "cuda" else min(fits, CPU_MICRO_BATCH)


def per_image(network: nn.Module, shape: tuple[int, ...], precision: torch.dtype, loss: Loss) -> int:
    """Bytes per image at the peak of a forward and a backward pass, from a tiny batch.

    The backward pass visits the tensors kept by autograd in reverse order and frees them on the way. At each tensor,
    memory holds all tensors kept before it and the incoming and outgoing gradients, each about as large as the tensor.

    Args:
        network: on the device that will run it.
        shape: of one image, ``(C, H, W)``.
        precision: of its convolutions.
        loss: maps the network and pixels ``(B, C, H, W)`` to the scalar that the backward pass starts from.
    """
    batch = 7  # unlike the first dimension of any weight
    device = next(network.parameters()).device
    kept: dict[int, int] = {}  # bytes by address, in the order of the forward pass

    def pack(tensor: Tensor) -> Tensor:
        if tensor.shape[:1] == (batch,):
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes())
        return tensor

    def unpack(tensor: Tensor) -> Tensor:
        return tensor

    pixels = torch.zeros(batch, *shape, device=device, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack), autocast(device, precision):
        end = loss(network, pixels)  # kept alive, and with it all addresses
    sizes = list(kept.values())
    del end
    return max(before + 2 * size for before, size in zip(accumulate(sizes), sizes, strict=True)) // batch


def _cross_entropy(network: nn.Module, pixels: Tensor) -> Tensor:
    labels = torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device)
    return F.cross_entropy(network(pixels).float(), labels)
