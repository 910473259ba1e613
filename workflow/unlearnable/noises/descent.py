"""Sign descent in the rho_u box, shared by the error-minimizing noises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unlearnable.compute.pgd import uniform, within_pixels
from unlearnable.noises.method import Batch
from unlearnable.noises.settings import SignDescent


def minimise(batch: Batch[SignDescent], gradient: Callable[[Tensor], Tensor]) -> Tensor:
    """Sign descent on a noise.

    Where x + d leaves the range of pixels, the clamp before the network hides d from the loss, and d stays unchanged.
    ``clip: box`` is this algorithm, as published; ``clip: pixels`` keeps x + d in range at every step, so that black
    and white pixels can change as well.

    Args:
        batch: the images, the radius, the steps and the start.
        gradient: maps the protected images, in [0, 255], to the gradient of the loss with respect to them.

    Returns:
        The noise before rounding, ``|d| <= rho_u``.
    """
    images, rho_u, settings = batch.images, batch.problem.rho_u, batch.problem.settings
    pixels = settings.clip == "pixels"
    d = start_of(batch)
    for _ in range(settings.k_u):
        protected = images + d
        g = gradient(protected.clamp(0, 255))
        g = torch.where((protected >= 0) & (protected <= 255), g, 0)  # the clamp's own gradient
        d = (d - settings.alpha_u * rho_u * g.sign()).clamp(-rho_u, rho_u)
        if pixels:
            d = within_pixels(d, images)
    return d


def start_of(batch: Batch[SignDescent]) -> Tensor:
    """The noise from which ``minimise`` starts: the batch's own, or a uniform draw; clipped as after every step."""
    d = uniform(batch.images, batch.problem.rho_u, batch.draws) if batch.start is None else batch.start
    return within_pixels(d, batch.images) if batch.problem.settings.clip == "pixels" else d
