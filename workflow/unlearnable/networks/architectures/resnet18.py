"""ResNet-18."""

from __future__ import annotations

from torch import nn
from torchvision import models

from unlearnable.networks.architectures._families import resnet


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """ResNet-18: 11,173,962 parameters for 3 channels, 10 classes and the stem ``cifar``."""
    return resnet(models.resnet18, channels, classes, stem)
