"""Error-minimizing noise, EM (Huang et al. 2021), in the frame of the raw or of the augmented image."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from unlearnable.compute.augment import draw
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.errors import UserError
from unlearnable.noises.descent import minimise, start_of
from unlearnable.noises.em.settings import Em
from unlearnable.noises.method import Batch, Descent, Problem, augmented


def noise_passes(problem: Problem[Em]) -> int:
    """Forward+backward passes over a batch to compute its noise."""
    return problem.settings.k_u


def noise(network: FrozenNetwork, batch: Batch[Em]) -> Tensor:
    """Descend on the loss of the image, without adversary or expectation; ``frame`` says whether it is transformed
    first.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``. The noise of a transformed image is added to the raw one,
        as in Fu et al.'s code.

    Raises:
        UserError: transformed images have another size than raw ones.
    """
    return _descend(network, _framed(batch))


def descent(batch: Batch[Em], seed: int) -> Descent:
    """The loss of raw or of transformed images."""
    framed = _framed(batch)
    return Descent(start_of(framed), lambda d: (framed.images + d).clamp(0, 255), batch.labels)


def training_inputs(network: FrozenNetwork, batch: Batch[Em]) -> tuple[Tensor, Tensor]:
    """The source model's input at one step, and the noise in it.

    In the raw frame the input is protected images, augmented as by a victim: without that transform, noise made for a
    small network does not survive a shift by one pixel. In the augmented frame it is transformed images with the noise
    added afterwards.

    Raises:
        UserError: as for ``noise``.
    """
    framed = _framed(batch)
    d = _descend(network, framed)
    if batch.problem.settings.frame == "augmented":
        return (framed.images + d).clamp(0, 255), d
    return augmented(batch, d), d


def _descend(network: FrozenNetwork, batch: Batch[Em]) -> Tensor:
    return minimise(batch, lambda x: network.gradient(x, batch.labels)).round()


def _framed(batch: Batch[Em]) -> Batch[Em]:
    """The batch to descend on: raw or transformed."""
    images, problem = batch.images, batch.problem
    if problem.settings.frame == "raw":
        return batch
    z = draw(problem.augmentation, images, batch.draws)(images)
    if z.shape != images.shape:
        raise UserError(
            f"method em: with frame: augmented the noise has the size of transformed images, {z.shape[2]}x{z.shape[3]} "
            f"pixels, but images have {images.shape[2]}x{images.shape[3]}; use frame: raw"
        )
    return replace(batch, images=z)
