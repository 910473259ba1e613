"""Error-minimizing noise, EM (Huang et al. 2021), in the frame of the raw or of the augmented image."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.compute.augment import draw
from unlearnable.compute.draws import Draws
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.descent import minimise
from unlearnable.noises.em.settings import Em
from unlearnable.noises.method import Problem


def noise_passes(problem: Problem) -> int:
    """Forward+backward passes over a batch that its noise takes."""
    settings: Em = problem.settings
    return settings.k_u


def training_passes(problem: Problem) -> int:
    """Forward+backward passes of a source-training step before its update."""
    return noise_passes(problem)


def basis(network: FrozenNetwork, train: Split, problem: Problem, seed: int, device: torch.device) -> FrozenNetwork:
    """The source model."""
    return network


def noise(basis: FrozenNetwork, images: Tensor, labels: Tensor, problem: Problem, generator: Draws) -> Tensor:
    """Descend on the loss of the image in the frame that ``frame`` says: no adversary, no expectation.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``. That of a transformed image is published in the place of
        the raw one, as it is in Fu et al.'s code.

    Raises:
        UserError: a transformed image is of another size than the raw one.
    """
    if problem.settings.frame == "augmented":
        images = _augmented(images, problem, generator)
    return _descend(basis, images, labels, problem, generator, None)


def training_inputs(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What the source model learns from at one step, and the noise in it.

    In the raw frame these are protected images, augmented as a victim would: without that transform, noise made for a
    small network does not survive a shift by one pixel. In the augmented frame they are transformed images with the
    noise on top, and no transform follows.

    Raises:
        UserError: as for ``noise``.
    """
    if problem.settings.frame == "augmented":
        z = _augmented(images, problem, generator)
        d = _descend(network, z, labels, problem, generator, start)
        return (z + d).clamp(0, 255), d
    d = _descend(network, images, labels, problem, generator, start)
    return draw(problem.augmentation, images, generator)((images + d).clamp(0, 255)), d


def _descend(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None,
) -> Tensor:
    d = minimise(images, lambda x: network.gradient(x, labels), problem.rho_u, problem.settings, generator, start)
    return d.round()


def _augmented(images: Tensor, problem: Problem, generator: Draws) -> Tensor:
    z = draw(problem.augmentation, images, generator)(images)
    if z.shape != images.shape:
        raise UserError(
            f"method em: with frame augmented the noise is as large as a transformed image, {z.shape[2]}x{z.shape[3]} "
            f"pixels, but images are published with {images.shape[2]}x{images.shape[3]}; use frame: raw"
        )
    return z
