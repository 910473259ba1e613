"""The autoencoder of D-VAE and its loss (Yu et al., ICML 2024)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATE_WEIGHT = 0.01
ENERGY_LIMIT = 0.002  # a root mean square of 11.4 grey levels


class Parts(NamedTuple):
    """What the autoencoder makes of a batch; h and w are half of H and W, rounded up.

    Attributes:
        image: the reconstruction, ``(B, C, H, W)`` in [0, 1].
        perturbation: what the class adds to it, ``(B, C, H, W)``.
        mean: of the codes, ``(B, width, h, w)``.
        log_variance: of the codes, ``(B, width, h, w)``.
    """

    image: Tensor
    perturbation: Tensor
    mean: Tensor
    log_variance: Tensor


class Autoencoder(nn.Module):
    """An encoder, a decoder of images, and one of perturbations, which also sees an embedding of the image's class.

    All convolutions are at half the resolution. Perturbations start at 0.

    Args:
        shape: of one image, ``(H, W, C)``.
        classes: number of classes.
        width: channels of the convolutions and of the codes.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int) -> None:
        super().__init__()
        self.height, self.width, channels = shape
        self.encoder = nn.Sequential(nn.PixelUnshuffle(2), *_layers(4 * channels, width), *_layers(width, width))
        self.codes = nn.Conv2d(width, 2 * width, 1)
        self.features = nn.Conv2d(width, width, 1)
        self.image = nn.Sequential(*_layers(width, width), nn.Conv2d(width, 4 * channels, 3, padding=1))
        self.embedding = nn.Parameter(torch.randn(classes, width, -(-self.height // 2), -(-self.width // 2)))
        last = nn.Conv2d(width, 4 * channels, 3, padding=1)
        self.perturbation = nn.Sequential(*_layers(width, width), last)
        for each in last.parameters():
            nn.init.zeros_(each)

    def forward(self, pixels: Tensor, labels: Tensor, draws: torch.Generator | None = None) -> Parts:
        """The parts of images ``(B, C, H, W)`` in [0, 1] with labels ``(B,)``; without draws, codes are their mean."""
        even = F.pad(pixels, (0, self.width % 2, 0, self.height % 2), "replicate")
        mean, log_variance = self.codes(self.encoder(even)).chunk(2, 1)
        codes = mean
        if draws is not None:
            codes = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=draws)
        features = self.features(codes)
        image = self._full(self.image(features)).sigmoid()
        perturbation = self._full(self.perturbation(features + self.embedding[labels]))
        return Parts(image, perturbation, mean, log_variance)

    def _full(self, half: Tensor) -> Tensor:
        return F.pixel_shuffle(half, 2)[..., : self.height, : self.width]


def _layers(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


def rate(parts: Parts) -> Tensor:
    """The mean Kullback-Leibler divergence of a position's codes from a standard normal distribution, in nats."""
    each = parts.mean.square() + parts.log_variance.exp() - 1 - parts.log_variance
    return each.sum(1).mean() / 2


def loss(parts: Parts, pixels: Tensor, kld_limit: float) -> Tensor:
    """The squared errors of the reconstruction without and with its perturbation, and the price of rate and energy.

    The rate costs nothing below its limit, so that the codes carry that much of the image and leave what is the same
    in all images of a class to the perturbation, which has its embedding for nothing. The limit of the perturbation's
    energy is in the released code, not in the paper's equation; without it the perturbation takes parts of the image.

    Args:
        parts: of the images.
        pixels: the images, ``(B, C, H, W)`` in [0, 1].
        kld_limit: of the rate, in nats for each position.
    """
    both = (parts.image + parts.perturbation).clamp(0, 1)
    energy = parts.perturbation.square().mean()
    error = F.mse_loss(parts.image, pixels) + F.mse_loss(both, pixels)
    return error + RATE_WEIGHT * rate(parts).clamp(min=kld_limit) + energy.clamp(min=ENERGY_LIMIT)
