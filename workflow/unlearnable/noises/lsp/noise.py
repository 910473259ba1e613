"""Linearly separable perturbations, LSP (Yu et al., KDD 2022)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from unlearnable.compute.draws import by_rows
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.lsp.settings import Lsp
from unlearnable.noises.method import Batch, Problem
from unlearnable.randomness import numpy_generator

SEPARATION = 10.0  # of the classes: half the side of the hypercube, in standard deviations of a cluster


def basis(
    network: FrozenNetwork | None, train: Split, problem: Problem[Lsp], seed: int, device: torch.device
) -> Tensor:
    """The centre of each class's cluster: distinct corners of the hypercube [-10, 10]^n, drawn from the seed.

    n is the number of patches that cover an image, times the channels. All corners are equally far from the origin, so
    that scaling the noise to its radius keeps the classes linearly separable.

    Returns:
        ``(classes, C, rows of patches, columns of patches)``, float64.

    Raises:
        UserError: the hypercube has fewer corners than there are classes.
    """
    height, width, channels = train.images.shape[1:]
    patch = problem.settings.patch
    rows, columns = math.ceil(height / patch), math.ceil(width / patch)
    values = channels * rows * columns
    if (misfit := problem.settings.misfit((height, width, channels), problem.classes)) is not None:
        raise UserError(f"method lsp: {misfit[1]}")
    draws = numpy_generator(seed, "lsp", "corners")
    counted = min(values, 60)  # bits of a corner's number; further bits are arbitrary
    numbers = draws.choice(2**counted, problem.classes, replace=False)
    bits = numbers[:, None] >> np.arange(counted) & 1
    bits = np.concatenate([bits, draws.integers(0, 2, (problem.classes, values - counted))], axis=1)
    centres = torch.from_numpy(SEPARATION * (2.0 * bits - 1)).to(device)
    return centres.view(problem.classes, channels, rows, columns)


def noise(centres: Tensor, batch: Batch[Lsp]) -> Tensor:
    """A normal draw around the class's centre, one value for each patch, scaled to the radius.

    The clusters are isotropic, of standard deviation 1. (The authors draw with scikit-learn's ``make_classification``,
    which also mixes the values of each cluster by a random matrix.) Patches are cropped at the edges of an image.
    Computed in double precision, so that no value rounds to another grey level in another batch.

    Args:
        centres: from ``basis``.
        batch: the images.

    Returns:
        ``(B, C, H, W)``, whole numbers whose root mean square is the radius, up to rounding.
    """
    images, s = batch.images, batch.problem.settings
    height, width = images.shape[2:]

    def draw(rows: int, g: torch.Generator) -> Tensor:
        return torch.randn(rows, *centres.shape[1:], dtype=centres.dtype, device=centres.device, generator=g)

    d = centres[batch.labels] + by_rows(len(images), batch.draws, draw)
    d = d.repeat_interleave(s.patch, 2).repeat_interleave(s.patch, 3)[:, :, :height, :width]
    return (d * (s.radius / d.square().mean(dim=(1, 2, 3), keepdim=True).sqrt())).round().to(images.dtype)
