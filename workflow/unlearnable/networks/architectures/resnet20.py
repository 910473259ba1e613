"""ResNet-20, the residual network for small images (He et al. 2016, section 4.2), quick enough for studies on a CPU."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.errors import UserError

BLOCKS = 3  # in each of 3 stages, of 2 convolutions each; with the stem and the linear layer 20 layers
SIDES = {"cifar": (1, 1)}


class Block(nn.Module):
    """Two 3x3 convolutions, each with batch norm, and a shortcut without parameters (option A of the paper).

    Where the shape changes, the shortcut takes every other row and column, and zeros for the new channels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.new_channels = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, inputs, H, W)`` to ``(B, outputs, H/stride, W/stride)``, rounded up."""
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.new_channels:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))
        return F.relu(out + x)


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """ResNet-20: 269,722 parameters for 3 channels and 10 classes, for images of any size.

    Raises:
        UserError: the stem is not the one for small images.
    """
    if stem != "cifar":
        raise UserError(f"network resnet20 has no stem {stem!r}; set stem: cifar")
    layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    inputs = 16
    for outputs, stride in ((16, 1), (32, 2), (64, 2)):
        layers += [Block(inputs, outputs, stride), *(Block(outputs, outputs, 1) for _ in range(BLOCKS - 1))]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
