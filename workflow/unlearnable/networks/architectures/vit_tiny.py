"""ViT-Ti (Dosovitskiy et al. 2021; Touvron et al. 2021) on patches of 4x4 pixels, for images of 28 to 64."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from unlearnable.errors import UserError
from unlearnable.networks.architectures._norm import ChannelNorm

SIDES = {"cifar": (8, 4)}
PATCH, WIDTH, BLOCKS, HEADS = 4, 192, 12, 3
EPS = 1e-6


class Block(nn.Module):
    """Self-attention and two layers with GELU between them, each on layer-normed tokens and with a shortcut.

    Tokens stay where they are in the image, so linear layers are 1x1 convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(WIDTH, eps=EPS)
        self.qkv = nn.Conv2d(WIDTH, 3 * WIDTH, 1)
        self.out = nn.Conv2d(WIDTH, WIDTH, 1)
        self.norm2 = ChannelNorm(WIDTH, eps=EPS)
        self.layers = nn.Sequential(nn.Conv2d(WIDTH, 4 * WIDTH, 1), nn.GELU(), nn.Conv2d(4 * WIDTH, WIDTH, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, WIDTH, H, W)`` to the same shape."""
        x = x + self.out(attended(self.qkv(self.norm1(x))))
        changed: Tensor = x + self.layers(self.norm2(x))
        return changed


@fx.wrap
def attended(qkv: Tensor) -> Tensor:
    """Scaled dot-product attention of ``HEADS`` heads over all places: ``(B, 3 * WIDTH, H, W)`` to a third of that."""
    batch, _, height, width = qkv.shape
    heads = qkv.permute(0, 2, 3, 1).reshape(batch, height * width, 3, HEADS, WIDTH // HEADS)
    query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
    out = F.scaled_dot_product_attention(query, key, value)
    return out.transpose(1, 2).reshape(batch, height, width, WIDTH).permute(0, 3, 1, 2)


@fx.wrap
def with_positions(tokens: Tensor) -> Tensor:
    """Tokens plus fixed sines and cosines of their row and column (Beyer et al. 2022), for images of any size.

    A quarter of the channels each holds sin and cos of the column and of the row, at frequencies from 1 to 1/10000.
    """
    height, width = tokens.shape[2:]
    quarter = WIDTH // 4
    steps = torch.arange(quarter, device=tokens.device) / (quarter - 1)
    frequencies = (-math.log(10_000) * steps).exp()[:, None]
    across, down = (frequencies * torch.arange(side, device=tokens.device) for side in (width, height))
    columns = torch.cat([across.sin(), across.cos()])[:, None, :].expand(-1, height, -1)
    rows = torch.cat([down.sin(), down.cos()])[:, :, None].expand(-1, -1, width)
    return tokens + torch.cat([columns, rows]).to(tokens.dtype)


class Positions(nn.Module):
    """``with_positions`` as a layer."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ``(B, WIDTH, H, W)`` to the same shape."""
        return with_positions(tokens)


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """ViT-Ti/4: 12 blocks of width 192 with 3 heads; 5,350,090 parameters for 3 channels and 10 classes.

    As in Beyer et al. (2022) positions are fixed and the head is one linear layer on the mean of all tokens. The
    weights are drawn by PyTorch's defaults.

    Raises:
        UserError: the stem is not the one for small images.
    """
    if stem != "cifar":
        raise UserError(f"network vit-tiny has no stem {stem!r}; set stem: cifar")
    return nn.Sequential(
        *(nn.PixelUnshuffle(PATCH), nn.Conv2d(channels * PATCH**2, WIDTH, 1)),  # unlike strides, it drops no pixel
        *(Positions(), *(Block() for _ in range(BLOCKS))),
        *(ChannelNorm(WIDTH, eps=EPS), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, classes)),
    )
