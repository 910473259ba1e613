"""The processes that train one network together, each on its own device: shares of a batch, and what they exchange.

What is added up over ranks is gathered first and then added in their order. That takes more traffic than a library's
own sum, whose order depends on how it cuts and routes the numbers; but the same ranks give the same bytes anywhere.
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
    """One process, which trains alone: nothing to share, nothing to exchange.

    Attributes:
        rank: which of the processes this one is.
        size: how many there are.
        place: what tells the draws of this rank from those of the others, where each makes its own.
    """

    rank = 0
    size = 1
    place: tuple[int, ...] = ()

    def part(self, batch: Array) -> Array:
        """This rank's share of the rows of a batch."""
        return batch

    def draws(self, generator: torch.Generator, batch: int) -> Draws:
        """The draws of this rank's share of a batch of so many images: those that one process makes for these images.

        Args:
            generator: that of the whole batch, in the same state on every rank.
            batch: the number of images in it.
        """
        return generator

    def gathered(self, part: Tensor) -> Tensor:
        """What all ranks have, ``(size * n, ...)`` in their order, of each one's ``(n, ...)``."""
        return part

    def mean(self, values: Tensor) -> Tensor:
        """The mean over ranks, element by element."""
        return values

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set on any rank."""
        return flags

    def trained(self, network: nn.Module) -> nn.Module:
        """The network as passes in train mode go through it; its gradients are then those of the mean over ranks."""
        return network

    def named(self, device: str) -> str:
        """What all ranks compute on, of which each has such a device."""
        return device

    def require_same(self, step: int) -> None:
        """Make sure that all ranks go on from the same step.

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
        """What all ranks have, in their order; as bytes, because the backends lack some of torch's types."""
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

        The running statistics of batch norm are not sent around: from joint statistics they are equal on all ranks.
        """
        known = inspect.signature(DistributedDataParallel).parameters
        option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # its older name
        options: dict[str, Any] = {option: False}
        parallel = DistributedDataParallel(network, **options)
        # A lambda, because torch compares a function's annotations with classes, and here they are strings.
        parallel.register_comm_hook(self.size, lambda size, bucket: _mean_in_order(size, bucket))
        return parallel

    def named(self, device: str) -> str:
        """What all ranks compute on."""
        return f"{self.size} x {device}"

    def require_same(self, step: int) -> None:
        """Make sure that all ranks go on from the same step."""
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
    """What DistributedDataParallel does with a bucket (``GradBucket``) of gradients in place of its own sum."""
    mine = bucket.buffer()
    whole = mine.new_empty(size * len(mine))
    gathering = dist.all_gather_into_tensor(whole, mine, async_op=True)
    assert gathering is not None
    return gathering.get_future().then(lambda _: _added(whole.view(size, -1)) / size)
