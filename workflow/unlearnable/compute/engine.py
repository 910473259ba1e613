"""How passes through a frozen network run on a device: how many images at once, and whether compiled."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unlearnable.compute import memory
from unlearnable.compute.frozen import FrozenNetwork, frozen

log = logging.getLogger(__name__)


# On a GPU, compilation costs about a minute and saves a few milliseconds a pass. On a CPU it saves nothing: nearly all
# of a pass is oneDNN's convolutions either way (docs/performance.md). The number of passes decides, not a measured
# time, so that the same job always computes in the same way.
COMPILED_FROM_PASSES = 20_000


@dataclass(frozen=True)
class Engine:
    """A network, and how gradients through it are computed while it is frozen.

    Attributes:
        network: the network.
        precision: of its convolutions.
        micro_batch: largest number of images that pass through it at once.
        forward: its compiled forward pass in eval mode; None to call the network itself.
    """

    network: nn.Module
    precision: torch.dtype
    micro_batch: int
    forward: Callable[[Tensor], Tensor] | None = None

    def frozen(self) -> AbstractContextManager[FrozenNetwork]:
        """The network in eval mode without parameter gradients, for the duration."""
        return frozen(self.network, self.precision, self.micro_batch, self.forward)


def choose_engine(network: nn.Module, shape: tuple[int, ...], precision: torch.dtype, passes: int) -> Engine:
    """Choose how to run the passes of a job.

    Args:
        network: on the device that will run it.
        shape: of one image, ``(C, H, W)``.
        precision: of its convolutions.
        passes: number of passes in the whole job.
    """
    device = next(network.parameters()).device
    at_once = memory.micro_batch(network, shape, precision, device)
    worth_it = device.type == "cuda" and passes >= COMPILED_FROM_PASSES
    if worth_it and not _can_compile():
        log.warning("not compiled: torch.compile needs Triton and a C compiler, and at least one is missing")
        worth_it = False
    log.info("at most %d images at once%s", at_once, ", compiled" if worth_it else "")
    return Engine(network, precision, at_once, compiled(network) if worth_it else None)


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The forward pass as compiled graphs, on a GPU replayed as CUDA graphs.

    Graphs stay valid when the weights change, because the folded weights are updated in place. The next call may
    overwrite a result.
    """
    if torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(True, warn_only=True)  # for the compiler, which set_up leaves alone
    forward = torch.compile(network, mode="reduce-overhead", dynamic=False)

    def call(pixels: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        logits: Tensor = forward(pixels)
        return logits

    return call


def _can_compile() -> bool:
    from torch.utils._triton import has_triton

    return has_triton() and any(shutil.which(name) for name in ("cc", "gcc", "clang"))
