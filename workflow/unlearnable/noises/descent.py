"""Sign descent in the rho_u box, which the error-minimizing noises share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unlearnable.compute.draws import Draws
from unlearnable.compute.pgd import uniform, within_pixels
from unlearnable.noises.settings import SignDescent


def minimise(
    images: Tensor,
    gradient: Callable[[Tensor], Tensor],
    rho_u: int,
    settings: SignDescent,
    generator: Draws,
    start: Tensor | None = None,
) -> Tensor:
    """Sign descent on a noise.

    Where x + d leaves the pixels' range, the clamp on the way into the network hides d from the loss, and d stays as it
    is. ``clip: box`` is that algorithm, as published; ``clip: pixels`` keeps x + d in the range at every step, so that
    black and white pixels take part as well.

    Args:
        images: ``(B, C, H, W)``, float, whole numbers in [0, 255].
        gradient: maps the protected images, in [0, 255], to the gradient of the loss by them.
        rho_u: radius in units of 1/255.
        settings: number and size of the steps, and what each one clips to.
        generator: source of the random start.
        start: where to start instead, of the shape of ``images``; within ``rho_u``.

    Returns:
        The noise before rounding, ``|d| <= rho_u``.
    """
    pixels = settings.clip == "pixels"
    d = uniform(images, rho_u, generator) if start is None else start
    if pixels:
        d = within_pixels(d, images)
    for _ in range(settings.k_u):
        protected = images + d
        g = gradient(protected.clamp(0, 255))
        g = torch.where((protected >= 0) & (protected <= 255), g, 0)  # the clamp's own gradient
        d = (d - settings.alpha_u * rho_u * g.sign()).clamp(-rho_u, rho_u)
        if pixels:
            d = within_pixels(d, images)
    return d
