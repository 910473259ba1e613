"""What enters a frozen network's last layer, and gradients of losses on it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from unlearnable.compute.device import autocast
from unlearnable.compute.frozen import FrozenNetwork


def features(network: FrozenNetwork, pixels: Tensor) -> Tensor:
    """The inputs of the last linear layer, without a gradient.

    Args:
        network: the network; its last linear layer is the one defined last.
        pixels: ``(B, C, H, W)``, float in [0, 255].

    Returns:
        ``(B, F)``, float32 or wider.
    """
    with torch.no_grad():
        return torch.cat([_features(network, part) for part in pixels.tensor_split(_parts(network, pixels))])


def feature_gradient(network: FrozenNetwork, pixels: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """The gradient of a loss on the features by the pixels; counts as one pass.

    The loss may join the features of all images. If these are more than a micro-batch, their features are computed
    first, and once more part by part to go back to the pixels.

    Args:
        network: the network.
        pixels: ``(B, C, H, W)``, float in [0, 255].
        loss: maps the features ``(B, F)`` to a scalar.
    """
    network.images += len(pixels)
    parts = _parts(network, pixels)
    with torch.enable_grad():
        if parts == 1:
            x = pixels.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(_features(network, x)), x)
        else:
            every = features(network, pixels).requires_grad_()
            (by_features,) = torch.autograd.grad(loss(every), every)
            found: list[Tensor] = []
            for part, back in zip(pixels.tensor_split(parts), by_features.tensor_split(parts), strict=True):
                x = part.detach().requires_grad_()
                found += torch.autograd.grad(_features(network, x), x, back)
            gradient = torch.cat(found)
    network.total = network.total + gradient.sum()
    return gradient


def _parts(network: FrozenNetwork, pixels: Tensor) -> int:
    return math.ceil(len(pixels) / network.micro_batch) if network.micro_batch else 1


def _features(network: FrozenNetwork, pixels: Tensor) -> Tensor:
    """The features of one micro-batch."""
    last = [module for module in network.network.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[Tensor] = []
    hook = last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        with autocast(pixels.device, network.precision):
            network.network(pixels)
    finally:
        hook.remove()
    (found,) = seen
    return found.float() if found.dtype.itemsize < 4 else found
