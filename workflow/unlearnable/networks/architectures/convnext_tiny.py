"""ConvNeXt-T (Liu et al., CVPR 2022), a convolutional network without batch norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from unlearnable.networks.architectures._norm import ChannelNorm

SIDES = {"cifar": (16, 1), "imagenet": (32, 1)}
STAGES = ((96, 3), (192, 3), (384, 9), (768, 3))  # width, blocks
PATCH = {"cifar": 2, "imagenet": 4}
DROPPED = 0.1  # of the images, those that skip the last block in training; the share grows linearly from the first
SCALE = 1e-6


class Block(nn.Module):
    """A 7x7 convolution of each channel, layer norm, two 1x1 convolutions with GELU between them, and a shortcut.

    Linear layers on the channels, as in the published code, are the same as 1x1 convolutions.
    """

    def __init__(self, width: int, dropped: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *(nn.Conv2d(width, width, 7, padding=3, groups=width), ChannelNorm(width, eps=1e-6)),
            *(nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)),
        )
        self.scale = nn.Parameter(torch.full((width, 1, 1), SCALE))
        self.drop = StochasticDepth(dropped, "row")

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, width, H, W)`` to the same shape."""
        dropped: Tensor = self.drop(self.scale * self.branch(x))
        return x + dropped


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """ConvNeXt-T: 27,824,362 parameters for 3 channels, 10 classes and the stem ``cifar``.

    The stem takes patches of 4x4 pixels, as published, or for small images of 2x2. Weights of convolutions and of the
    linear layer have a standard deviation of 0.02, as published.
    """
    first, patch = STAGES[0][0], PATCH[stem]
    layers: list[nn.Module] = [nn.Conv2d(channels, first, patch, patch), ChannelNorm(first, eps=1e-6)]
    every = sum(blocks for _, blocks in STAGES)
    inputs = first
    at = 0
    for width, blocks in STAGES:
        if width != inputs:
            layers += [ChannelNorm(inputs, eps=1e-6), nn.Conv2d(inputs, width, 2, 2)]
        layers += [Block(width, DROPPED * (at + index) / (every - 1)) for index in range(blocks)]
        inputs, at = width, at + blocks
    head = [nn.AdaptiveAvgPool2d(1), ChannelNorm(inputs, eps=1e-6), nn.Flatten(), nn.Linear(inputs, classes)]
    network = nn.Sequential(*layers, *head)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return network
