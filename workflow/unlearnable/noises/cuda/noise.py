"""Convolution-based unlearnable datasets, CUDA (Sadasivan et al., CVPR 2023)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Split
from unlearnable.noises.cuda.settings import Cuda
from unlearnable.noises.method import Batch, Problem
from unlearnable.randomness import numpy_generator


def basis(
    network: FrozenNetwork | None, train: Split, problem: Problem[Cuda], seed: int, device: torch.device
) -> Tensor:
    """The filter of each class: weights drawn from U(0, blur), except for a randomly chosen one, which is 1 (section
    3.3).

    Returns:
        ``(classes, kernel_size, kernel_size)``, float64.
    """
    s = problem.settings
    draws = numpy_generator(seed, "cuda", "filters")
    filters = draws.uniform(0, s.blur, (problem.classes, s.kernel_size**2))
    filters[np.arange(problem.classes), draws.integers(0, s.kernel_size**2, problem.classes)] = 1
    return torch.from_numpy(filters).to(device).view(problem.classes, s.kernel_size, s.kernel_size)


def noise(filters: Tensor, batch: Batch[Cuda]) -> Tensor:
    """The change from each image to the image filtered by its class's filter and divided by its largest value.

    All channels use the same filter, and the largest value is over pixels and channels. Images are padded with black,
    and black images stay black. Sums are in double precision, so that no pixel rounds to another grey level in another
    batch.

    Args:
        filters: from ``basis``.
        batch: the images; nothing is drawn.

    Returns:
        ``(B, C, H, W)``, whole numbers d with x + d in [0, 255].
    """
    images, size = batch.images, batch.problem.settings.kernel_size
    height, width = images.shape[2:]
    padded = F.pad(images.to(filters.dtype), (size // 2,) * 4)
    weights = filters[batch.labels][..., None, None, None]
    blurred = torch.zeros_like(images, dtype=filters.dtype)
    for row in range(size):
        for column in range(size):
            shifted = padded[:, :, row : row + height, column : column + width]
            blurred.addcmul_(weights[:, row, column], shifted)
    largest = blurred.amax(dim=(1, 2, 3), keepdim=True).clamp(min=torch.finfo(filters.dtype).tiny)
    return (255 * (blurred / largest)).round().to(images.dtype) - images
