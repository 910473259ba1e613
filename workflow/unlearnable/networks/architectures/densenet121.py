"""DenseNet-121."""

from __future__ import annotations

from torch import nn
from torchvision import models

from unlearnable.networks import initialisation
from unlearnable.networks.architectures._families import densenet

SIDES = {"cifar": (8, 1), "imagenet": (29, 1)}


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """DenseNet-121: 6,956,298 parameters for 3 channels, 10 classes and the stem ``cifar``."""
    return densenet(models.densenet121, channels, classes, stem)


def he_normal(network: nn.Module) -> None:
    """Initial weights as in torchvision and in Fu et al.'s code: fan in, and no bias of the linear layer."""
    initialisation.he_normal(network, "fan_in")
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
