"""Facts about a network that need no computation with it."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unlearnable import registry
from unlearnable.errors import UserError
from unlearnable.networks.folding import PixelNetwork


@functools.cache
def without_values(network: str, channels: int, classes: int, stem: str) -> nn.Module:
    """A network in eval mode whose weights have shapes but no values, and take no memory."""
    with torch.device("meta"):
        return PixelNetwork(registry.load_module("networks", network).build(channels, classes, stem)).eval()


def weight_bytes(network: str, channels: int, classes: int, stem: str) -> int:
    """Bytes of a network's weights and running statistics."""
    tensors = without_values(network, channels, classes, stem).state_dict().values()
    return sum(tensor.nbytes for tensor in tensors)


@functools.cache
def operations(network: str, shape: tuple[int, ...], classes: int, stem: str) -> int:
    """Operations of the forward pass of one image ``(C, H, W)``, as counted by torch.

    Raises:
        UserError: the network cannot take images of this size.
    """
    model = without_values(network, shape[0], classes, stem)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, *shape, device="meta"))
    except RuntimeError as error:
        size, problem = "x".join(map(str, shape)), str(error).splitlines()[0]
        raise UserError(f"network {network} with stem {stem} cannot take {size} images: {problem}") from error
    return int(counter.get_total_flops())
