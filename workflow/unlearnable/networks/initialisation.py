"""Initial weights other than PyTorch's defaults."""

from __future__ import annotations

from typing import Literal

from torch import nn


def he_normal(network: nn.Module, fan: Literal["fan_in", "fan_out"] = "fan_out") -> None:
    """Draw the weights of every convolution from a normal distribution of variance 2 / fan (He et al., ICCV 2015).

    Its bias becomes zero. Other layers keep the weights that they have.

    Args:
        network: changed in place.
        fan: of a convolution: its kernel's area times its number of channels, the input's or the output's.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
