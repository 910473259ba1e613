"""LeNet-5 (LeCun et al. 1998) with rectifiers, max-pooling and batch norm: small and position-aware."""

from __future__ import annotations

from torch import nn

from unlearnable.errors import UserError

SIDES = {"cifar": (10, 1)}


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """Two 5x5 convolutions of width 6 and 16, each with pooling, and linear layers of 120 and 84 units and the classes.

    The linear layers see every position of the last 5x5 map, whereas the other networks here average over positions.
    For images other than 28x28 the second pooling is adaptive.

    Raises:
        UserError: the stem is not the one for small images.
    """
    if stem != "cifar":
        raise UserError(f"network lenet5 has no stem {stem!r}; set stem: cifar")
    return nn.Sequential(
        *(nn.Conv2d(channels, 6, 5, padding=2, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveMaxPool2d(5)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
    )
