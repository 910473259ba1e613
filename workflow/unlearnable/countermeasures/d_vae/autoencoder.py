"""A small convolutional autoencoder of images whose code is limited, and of what it leaves out for each class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 4  # pixels along each side that share a place of the code
WIDTH, CODE, EMBEDDING = 32, 8, 8  # channels
RATE_WEIGHT = 0.01  # of a nat, beside the mean square of pixels in [0, 1]


class Autoencoder(nn.Module):
    """Images from a noisy code, and the perturbation that the code and the class foretell.

    Args:
        channels: of the images.
        classes: number of classes.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        unshuffled = 4 * channels
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            *(nn.Conv2d(unshuffled, WIDTH, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1), nn.ReLU()),
            nn.Conv2d(2 * WIDTH, 2 * CODE, 3, padding=1),
        )
        self.images = _decoder(CODE, unshuffled)
        self.perturbations = _decoder(CODE + EMBEDDING, unshuffled)
        self.classes = nn.Parameter(torch.randn(classes, EMBEDDING, 1, 1))

    def forward(self, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Rebuild images.

        Args:
            x: ``(B, C, H, W)`` in [0, 1]; the sides are multiples of ``BLOCK``.
            y: their classes, ``(B,)`` int64.
            generator: of the noise in the code; None for none.

        Returns:
            The images and the perturbations, of the shape of ``x``, and the mean rate in nats for a block of pixels:
            the divergence of the code from the standard normal distribution.
        """
        mean, log_variance = self.encoder(x).chunk(2, 1)
        rate = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        code = mean
        if generator is not None:
            drawn = torch.randn(mean.shape, generator=generator)
            code = mean + (log_variance / 2).exp() * drawn
        of_class = self.classes[y].expand(-1, -1, *code.shape[2:])
        return self.images(code), self.perturbations(torch.cat([code.detach(), of_class], 1)), rate


def _decoder(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(inputs, 4 * WIDTH, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2)),
        *(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(WIDTH, outputs, 3, padding=1), nn.PixelShuffle(2)),
    )


def loss(model: Autoencoder, x: Tensor, y: Tensor, limit: float, generator: torch.Generator) -> Tensor:
    """The distortion, what the rate exceeds its limit by, and the error of the perturbations (Yu et al. 2024).

    The perturbations learn what the images lack, without changing them.
    """
    images, perturbations, rate = model(x, y, generator)
    missing = (x - images).detach()
    return F.mse_loss(images, x) + RATE_WEIGHT * F.relu(rate - limit) + F.mse_loss(perturbations, missing)
