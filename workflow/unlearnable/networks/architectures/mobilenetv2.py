"""MobileNetV2 (Sandler et al. 2018)."""

from __future__ import annotations

from torch import nn
from torchvision import models

from unlearnable.networks.architectures._families import initialised


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """torchvision's MobileNetV2: 2,236,682 parameters for 3 channels and 10 classes.

    For small images the first convolution and the first block that halves the image have stride 1, so that an image is
    halved three times rather than five.
    """
    network = models.mobilenet_v2(num_classes=classes)
    stride = 1 if stem == "cifar" else 2
    network.set_submodule("features.0.0", nn.Conv2d(channels, 32, 3, stride, padding=1, bias=False))
    if stem == "cifar":
        network.set_submodule("features.2.conv.1.0", nn.Conv2d(96, 96, 3, padding=1, groups=96, bias=False))
    return initialised(network)
