"""What the noise methods share: the problem they solve and sign descent in the rho_u box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unlearnable.attacks import uniform
from unlearnable.settings.dataset import Augmentation


@dataclass(frozen=True)
class Problem:
    """One noise to compute.

    Attributes:
        settings: the method's own settings.
        rho_u: radius of the noise, in units of 1/255.
        rho_a: radius of the source model's adversary, in units of 1/255.
        augmentation: the victim's transform T.
        classes: number of classes.
    """

    settings: Any
    rho_u: int
    rho_a: int
    augmentation: Augmentation
    classes: int


def minimise(
    images: Tensor,
    gradient: Callable[[Tensor], Tensor],
    rho_u: int,
    steps: int,
    alpha: float,
    generator: torch.Generator,
) -> Tensor:
    """Sign descent on a noise from a uniform random start.

    Args:
        images: ``(B, C, H, W)``, float, whole numbers in [0, 255].
        gradient: maps the protected images, in [0, 255], to the gradient of the loss by them.
        rho_u: radius in units of 1/255.
        steps: number of descent steps K_u.
        alpha: step size as a share of ``rho_u``.
        generator: source of the random start.

    Returns:
        The noise before rounding, ``|d| <= rho_u``.
    """
    d = uniform(images, rho_u, generator)
    for _ in range(steps):
        protected = images + d
        g = gradient(protected.clamp(0, 255))
        g = torch.where((protected >= 0) & (protected <= 255), g, 0)  # the clamp's own gradient
        d = (d - alpha * rho_u * g.sign()).clamp(-rho_u, rho_u)
    return d
