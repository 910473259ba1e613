"""VGG-16 with batch norm."""

from __future__ import annotations

from torch import nn
from torchvision import models

from unlearnable.networks.architectures._families import vgg

SIDES = {"cifar": (32, 1), "imagenet": (32, 1)}


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """VGG-16 with batch norm: 14,728,266 parameters for 3 channels, 10 classes and the stem ``cifar``."""
    return vgg(models.vgg16_bn, channels, classes, stem)
