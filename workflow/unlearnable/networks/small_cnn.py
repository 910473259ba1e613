"""A four-layer convolutional network for studies on a CPU."""

from __future__ import annotations

from torch import nn

from unlearnable.layers import ConvNorm, PixelNetwork

WIDTH = 16


def build(channels: int, classes: int) -> PixelNetwork:
    """Four 3x3 convolutions of width 16 to 64, global average pooling, a linear head.

    The first one sees blocks of 2x2 pixels as channels (so its field is 6x6 pixels, its stride 2): on a CPU
    a convolution from one channel at full resolution would cost more than the three others together.
    The image's sides must be even.
    """
    w = WIDTH
    return PixelNetwork(
        nn.Sequential(
            nn.PixelUnshuffle(2),
            ConvNorm(4 * channels, w, 3, padding=1),
            nn.ReLU(),
            ConvNorm(w, 2 * w, 3, stride=2, padding=1),
            nn.ReLU(),
            ConvNorm(2 * w, 2 * w, 3, padding=1),
            nn.ReLU(),
            ConvNorm(2 * w, 4 * w, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * w, classes),
        )
    )
