"""torchvision's families of networks, with a stem for small images or for large ones.

Weights are drawn by PyTorch's defaults.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def resnet(make: Callable[..., nn.Module], channels: int, classes: int, stem: str) -> nn.Module:
    """A ResNet (He et al. 2016); for small images the stem is a 3x3 convolution of stride 1 without max-pooling."""
    network = make(num_classes=classes)
    if stem == "cifar":
        network.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    else:
        network.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return initialised(network)


def vgg(make: Callable[..., nn.Module], channels: int, classes: int, stem: str) -> nn.Module:
    """A VGG with batch norm (Simonyan and Zisserman 2015).

    The convolutions are the same for both stems. The head is one linear layer on averaged features for small images,
    and the published three layers with dropout for large ones.
    """
    network = make(num_classes=classes)
    network.set_submodule("features.0", nn.Conv2d(channels, 64, 3, padding=1))
    if stem == "cifar":
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        network.classifier = nn.Linear(512, classes)
    return initialised(network)


def densenet(make: Callable[..., nn.Module], channels: int, classes: int, stem: str) -> nn.Module:
    """A DenseNet (Huang et al. 2017); for small images the stem is a single 3x3 convolution of stride 1."""
    network = make(num_classes=classes)
    if stem == "cifar":
        network.set_submodule("features.conv0", nn.Conv2d(channels, 64, 3, padding=1, bias=False))
        for name in ("norm0", "relu0", "pool0"):
            network.set_submodule(f"features.{name}", nn.Identity())
    else:
        network.set_submodule("features.conv0", nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False))
    return initialised(network)


def initialised(network: nn.Module) -> nn.Module:
    """The network with the weights of every layer drawn by PyTorch's defaults."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.reset_parameters()
    return network
