"""The memory that a training step needs, and the largest batch that fits into the free memory."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from unlearnable.compute import memory
from unlearnable.compute.memory import GIB, USABLE, Footprint
from unlearnable.countermeasures.base import Lesson, Objective, cross_entropy
from unlearnable.errors import UserError


def of_step(
    network: nn.Module, shape: tuple[int, ...], precision: torch.dtype, objective: Objective = cross_entropy
) -> Footprint:
    """The footprint of one SGD step with momentum in training mode.

    Args:
        network: on the device that will run it.
        shape: of one image, ``(C, H, W)``.
        precision: of its convolutions.
        objective: to minimise; some take several passes, all in memory at once.
    """
    gradients_and_momentum = 2 * sum(p.nbytes for p in network.parameters() if p.requires_grad)
    trained = copy.deepcopy(network).train()  # a copy, because the pass moves the running statistics

    def loss(network: nn.Module, pixels: Tensor) -> Tensor:
        labels = torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device)
        return objective(network, Lesson(pixels, labels, clean=pixels))[0]

    return Footprint(gradients_and_momentum, memory.per_image(trained, shape, precision, loss))


def require_step(
    network: nn.Module,
    shape: tuple[int, ...],
    precision: torch.dtype,
    device: torch.device,
    batch: int,
    stage: str,
    objective: Objective = cross_entropy,
) -> None:
    """Make sure that a training step fits.

    Raises:
        UserError: it does not; the message names the batch size that would.
    """
    footprint, free = of_step(network, shape, precision, objective), memory.free_bytes(device)
    if footprint.bytes(batch) > USABLE * free:
        fits = footprint.largest(USABLE * free)
        raise UserError(
            f"{stage}: a step with batch_size {batch} needs {footprint.bytes(batch) / GIB:.2f} GiB of memory, and "
            f"{free / GIB:.2f} GiB are free on {device}; "
            + (f"a batch_size of {fits} would fit" if fits else "not even a single image fits")
        )
