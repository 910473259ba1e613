"""WRN-34-10, the wide residual network of adversarial training (Zagoruyko and Komodakis 2016)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS, WIDEN = 5, 10  # 3 groups of 5 blocks of 2 convolutions, the stem and 3 shortcuts: 34 layers


class Block(nn.Module):
    """Batch norm and ReLU before each of two 3x3 convolutions, and a shortcut, projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H/stride, W/stride)``."""
        active = F.relu(self.norm1(x))
        out: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return out + (x if self.shortcut is None else self.shortcut(active))


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """WRN-34-10: 46,160,474 parameters for 3 channels, 10 classes and the stem ``cifar``.

    It was designed for small images. Its stem for large ones is ResNet's: 7x7 of stride 2, then max-pooling.
    """
    layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, padding=1, bias=False)]
    if stem != "cifar":
        layers = [nn.Conv2d(channels, 16, 7, stride=2, padding=3, bias=False), nn.MaxPool2d(3, stride=2, padding=1)]
    inputs = 16
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        outputs = width * WIDEN
        layers += [Block(inputs, outputs, stride), *(Block(outputs, outputs, 1) for _ in range(BLOCKS - 1))]
        inputs = outputs
    layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]
    return nn.Sequential(*layers)
