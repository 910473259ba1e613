"""A wrapper for every network: it scales the input and folds batch norm into the convolution before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn


class ConvNorm(nn.Module):
    """A convolution followed by batch norm.

    In eval mode the two act as one convolution with folded weights (exact up to rounding). The inner loops of every
    noise run through the frozen network; folding saves them a pass over each activation.

    Attributes:
        frozen: whether ``kept_weight`` and ``kept_bias`` hold the current folded weights.
    """

    frozen = False
    kept_weight: Tensor | None
    kept_bias: Tensor | None

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.register_buffer("kept_weight", None, persistent=False)
        self.register_buffer("kept_bias", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H', W')``."""
        if self.training:
            out: Tensor = self.norm(self.conv(x))
            return out
        weight, bias = (self.kept_weight, self.kept_bias) if self.frozen else self.folded()
        assert weight is not None
        return F.conv2d(x, weight, bias, self.conv.stride, self.conv.padding, self.conv.dilation, self.conv.groups)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the single convolution that equals the two in eval mode."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = -norm.running_mean if self.conv.bias is None else self.conv.bias - norm.running_mean
        return self.conv.weight * scale[:, None, None, None], norm.bias + shift * scale

    def keep(self, precision: torch.dtype) -> None:
        """Fold once for many passes; in place, so that a compiled graph that reads the result stays valid."""
        weight, bias = self.folded()
        if self.kept_weight is None or self.kept_weight.dtype != precision:
            self.kept_weight, self.kept_bias = weight.to(precision), bias.to(precision)
        else:
            assert self.kept_bias is not None
            self.kept_weight.copy_(weight)
            self.kept_bias.copy_(bias)
        self.frozen = True


def pair(network: nn.Module) -> None:
    """Replace, in place, every convolution that feeds only a batch norm, and that batch norm, by a ``ConvNorm``.

    Batch norm before a convolution (WRN, DenseNet) is left as it is.

    Raises:
        torch.fx.proxy.TraceError: the network's control flow depends on its input's values.
    """
    for node in fx.symbolic_trace(network).graph.nodes:
        if node.op != "call_module" or not isinstance(node.args[0], fx.Node) or node.args[0].op != "call_module":
            continue
        before = node.args[0]
        norm, conv = network.get_submodule(node.target), network.get_submodule(str(before.target))
        if isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d) and len(before.users) == 1:
            network.set_submodule(str(before.target), ConvNorm(conv, norm))
            network.set_submodule(node.target, nn.Identity())


@contextmanager
def folding(network: nn.Module, precision: torch.dtype) -> Iterator[None]:
    """Fold every batch norm of ``network`` once, in ``precision``, for the duration; weights must not change."""
    layers = [module for module in network.modules() if isinstance(module, ConvNorm)]
    with torch.no_grad():
        for layer in layers:
            layer.keep(precision)
    try:
        yield
    finally:
        for layer in layers:
            layer.frozen = False


class PixelNetwork(nn.Module):
    """A network whose input is pixels in 0..255, scaled to ``pixel / 255 - 0.5`` as in the paper's code."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels ``(B, C, H, W)``, float in [0, 255], to logits ``(B, classes)``."""
        logits: Tensor = self.body(pixels / 255 - 0.5)
        return logits
