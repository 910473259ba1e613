"""A four-layer convolutional network for studies on a CPU."""

from __future__ import annotations

from torch import nn

from unlearnable.errors import UserError

WIDTH = 16
SIDES = {"cifar": (2, 2)}


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """Four 3x3 convolutions of width 16 to 64, global average pooling, a linear head.

    The first one takes blocks of 2x2 pixels as channels, so its receptive field is 6x6 pixels and its stride 2: on a
    CPU a convolution from one channel at full resolution would cost more than the three others together. The image's
    sides must be even.

    Raises:
        UserError: the stem is not the one for small images.
    """
    if stem != "cifar":
        raise UserError(f"network small-cnn has no stem {stem!r}; set stem: cifar")
    w = WIDTH
    layers: list[nn.Module] = [nn.PixelUnshuffle(2)]
    for inputs, outputs, stride in ((4 * channels, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 4 * w, 2)):
        conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * w, classes))
