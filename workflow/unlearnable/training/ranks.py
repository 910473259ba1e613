"""The processes that train one network together, each on its own device: shares of a batch and exchanges.

Sums over ranks are gathered first and then added in rank order. This takes more traffic than a library's own sum, whose
order depends on how it splits and routes the numbers; but the same ranks give the same bytes anywhere.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from unlearnable.compute.draws import Draws, Part
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError


class Ranks:
    """A single process: nothing to share, nothing to exchange.

    Attributes:
        rank: number of this process.
        size: number of processes.
        place: distinguishes this rank's draws from those of the others, where each makes its own.
    """

    rank = 0
    size = 1
    place: tuple[int, ...] = ()

    def part(self, batch: Array) -> Array:
        """This rank's share of the rows of a batch."""
        return batch

    def draws(self, generator: torch.Generator, batch: int) -> Draws:
        """The draws of this rank's share of a batch of ``batch`` images, equal to those of one process for these
        images.

        Args:
            generator: that of the whole batch, in the same state on every rank.
            batch: the number of images in it.
        """
        return generator

    def gathered(self, part: Tensor) -> Tensor:
        """The tensors ``(n, ...)`` of all ranks in rank order, as ``(size * n, ...)``."""
        return part

    def mean(self, values: Tensor) -> Tensor:
        """The mean over ranks, element by element."""
        return values

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set on any rank."""
        return flags

    def trained(self, network: nn.Module) -> nn.Module:
        """The network to use for passes in train mode; its gradients are then the mean over ranks."""
        return network

    def named(self, device: str) -> str:
        """The devices of all ranks, given the device of each."""
        return device

    def require_same(self, step: int) -> None:
        """Make sure that all ranks continue from the same step.

        Raises:
            UserError: they do not.
        """


ALONE = Ranks()


class Group(Ranks):
    """One of the ranks of torch's default process group."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self.place = (self.rank,)

    def part(self, batch: Array) -> Array:
        """This rank's share of the rows of a batch."""
        share = len(batch) // self.size
        return batch[self.rank * share : (self.rank + 1) * share]

    def draws(self, generator: torch.Generator, batch: int) -> Draws:
        """The draws of this rank's share of a batch."""
        share = batch // self.size
        return Part(generator, self.rank * share, (self.rank + 1) * share, batch)

    def gathered(self, part: Tensor) -> Tensor:
        """The tensors of all ranks, in rank order; sent as bytes, because the backends lack some of torch's types."""
        mine = part.contiguous().flatten().view(torch.uint8)
        whole = mine.new_empty(self.size * len(mine))
        dist.all_gather_into_tensor(whole, mine)
        return whole.view(part.dtype).view(self.size * len(part), *part.shape[1:])

    def mean(self, values: Tensor) -> Tensor:
        """The mean over ranks, element by element."""
        return _added(self.gathered(values[None])) / self.size

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set on any rank."""
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        everywhere = self.gathered(torch.tensor([flags], device=device)).any(0)
        return tuple(everywhere.tolist())

    def trained(self, network: nn.Module) -> nn.Module:
        """The network under DistributedDataParallel.

        Running statistics of batch norm are not exchanged: computed from joint statistics, they are equal on all ranks.
        """
        known = inspect.signature(DistributedDataParallel).parameters
        option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # its older name
        options: dict[str, Any] = {option: False}
        parallel = DistributedDataParallel(network, **options)
        # A lambda, because torch compares a function's annotations with classes, and here they are strings.
        parallel.register_comm_hook(self.size, lambda size, bucket: _mean_in_order(size, bucket))
        return parallel

    def named(self, device: str) -> str:
        """The devices of all ranks."""
        return f"{self.size} x {device}"

    def require_same(self, step: int) -> None:
        """Make sure that all ranks continue from the same step."""
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        steps = self.gathered(torch.tensor([step], device=device)).tolist()
        if len(set(steps)) > 1:
            raise UserError(f"the ranks read different checkpoints, of steps {steps}; run again")


def _added(parts: Tensor) -> Tensor:
    """The sum of ``(n, ...)`` over n, one after the other."""
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


def _mean_in_order(size: int, bucket: Any) -> torch.futures.Future[Tensor]:
    """Hook of DistributedDataParallel for a bucket (``GradBucket``) of gradients: their mean, in rank order."""
    mine = bucket.buffer()
    whole = mine.new_empty(size * len(mine))
    gathering = dist.all_gather_into_tensor(whole, mine, async_op=True)
    assert gathering is not None
    return gathering.get_future().then(lambda _: _added(whole.view(size, -1)) / size)
