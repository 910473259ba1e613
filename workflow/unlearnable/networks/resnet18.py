"""ResNet-18 with the CIFAR stem (He et al. 2016): a 3x3 convolution of stride 1 and no max-pooling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.layers import ConvNorm, PixelNetwork


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride, padding=1)
        self.second = ConvNorm(outputs, outputs, 3, padding=1)
        changes = stride != 1 or inputs != outputs
        self.shortcut = ConvNorm(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H/stride, W/stride)``."""
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def build(channels: int, classes: int) -> PixelNetwork:
    """ResNet-18 for small images: 11,173,962 parameters for 3 channels and 10 classes."""
    layers: list[nn.Module] = [ConvNorm(channels, 64, 3, padding=1), nn.ReLU()]
    inputs = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)]
        inputs = outputs
    return PixelNetwork(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)))
