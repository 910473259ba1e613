"""Error-minimizing noise, EM (Huang et al. 2021), in the frame of the raw image."""

from __future__ import annotations

from torch import Tensor

from unlearnable.attacks import FrozenNetwork
from unlearnable.descent import Problem, minimise
from unlearnable.draws import Draws
from unlearnable.settings.methods.em import Em as Settings
from unlearnable.transforms import draw

__all__ = ["Settings", "noise", "noise_passes", "training_inputs", "training_passes"]


def noise_passes(settings: Settings) -> int:
    """Forward+backward passes over a batch that its noise takes."""
    return settings.k_u


def training_passes(settings: Settings) -> int:
    """Forward+backward passes of a source-training step before its update."""
    return noise_passes(settings)


def noise(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None = None,
) -> Tensor:
    """Descend on the loss of the untransformed image: no adversary, no expectation.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    d = minimise(images, lambda x: network.gradient(x, labels), problem.rho_u, problem.settings, generator, start)
    return d.round()


def training_inputs(
    network: FrozenNetwork, images: Tensor, labels: Tensor, d: Tensor, problem: Problem, generator: Draws
) -> Tensor:
    """What the source model learns from at one step: the protected images, augmented as a victim would.

    Without that transform, noise made for a small network does not survive a shift by one pixel.
    """
    return draw(problem.augmentation, len(images), generator)((images + d).clamp(0, 255))
