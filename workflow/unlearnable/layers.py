"""Layers shared by the networks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ConvNorm(nn.Module):
    """A convolution followed by batch norm.

    In eval mode the two are one convolution with folded weights (exact up to rounding): the inner loops
    of every noise run through the frozen network, and the folding saves them a pass over each activation.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H', W')``."""
        conv, norm = self.conv, self.norm
        if self.training:
            out: Tensor = norm(conv(x))
            return out
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = norm.bias - norm.running_mean * scale
        return F.conv2d(x, conv.weight * scale[:, None, None, None], shift, conv.stride, conv.padding)


class PixelNetwork(nn.Module):
    """A network whose input is pixels in 0..255; it sees ``pixel / 255 - 0.5``, as in the paper's code."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels ``(B, C, H, W)``, float in [0, 255], to logits ``(B, classes)``."""
        logits: Tensor = self.body(pixels / 255 - 0.5)
        return logits
