"""Robust error-minimizing noise, REM (Fu et al., ICLR 2022, Algorithm 1): min-min-max."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from unlearnable.compute import distortions
from unlearnable.compute.augment import Transform, concatenated, draw, transformed
from unlearnable.compute.distortions import Distortion
from unlearnable.compute.draws import Draws
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import ascend, uniform, within_pixels
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.descent import minimise, start_of
from unlearnable.noises.method import Batch, Descent, Problem
from unlearnable.noises.rem.settings import Rem, RobustDescent


def noise_passes(problem: Problem[Rem]) -> int:
    """Forward+backward passes over a batch to compute its noise."""
    s = problem.settings
    return s.k_u * s.j * (1 if s.attack == "free" else ascent_passes(problem) + 1)


def training_passes(problem: Problem[Rem]) -> int:
    """Forward+backward passes of a source-training step before its update."""
    return noise_passes(problem) + ascent_passes(problem)


def ascent_passes(problem: Problem[RobustDescent]) -> int:
    """Forward+backward passes of the adversary's whole attack; 0 without a radius."""
    return problem.settings.k_a if problem.rho_a else 0


def noise(network: FrozenNetwork, batch: Batch[Rem]) -> Tensor:
    """Descend on the loss expected over J transforms, under the strongest adversary.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    settings = batch.problem.settings
    return free_noise(network, batch) if settings.attack == "free" else robust_noise(network, batch, settings.k_a)


def descent(batch: Batch[Rem], seed: int) -> Descent:
    """The loss under one transform and one draw of the adversary."""
    if batch.problem.settings.attack != "free":
        return robust_descent(batch)
    images, draws, problem = batch.images, batch.draws, batch.problem
    start, e = start_of(batch), uniform(images, problem.rho_a, draws)
    t = draw(_expected_over(problem), images, draws)
    distortion = _distortion(problem, _shaped(problem, images), draws)

    def seen(d: Tensor) -> Tensor:
        protected = (images + d).clamp(0, 255)
        return distortion(t(protected + within_pixels(e, protected)))

    return Descent(start, seen, batch.labels)


def training_inputs(network: FrozenNetwork, batch: Batch[Rem]) -> tuple[Tensor, Tensor]:
    """The source model's input at one step: protected images under attack; and the noise in them."""
    d = noise(network, batch)
    return attacked(network, batch, d), d


def attacked(network: FrozenNetwork, batch: Batch[RobustDescent], d: Tensor) -> Tensor:
    """Images with the noise ``d``, under a new draw of the transform and a new attack."""
    problem, s = batch.problem, batch.problem.settings
    protected = batch.images + d
    z = draw(problem.augmentation, protected, batch.draws)(protected.clamp(0, 255))
    start = uniform(z, problem.rho_a, batch.draws)
    return z + ascend(network, z, batch.labels, problem.rho_a, s.k_a, s.alpha_a, start)


def robust_noise(network: FrozenNetwork, batch: Batch[RobustDescent], ascent_steps: int) -> Tensor:
    """The noise against an adversary of ``ascent_steps`` steps; with 0 (SEM) the adversary is a uniform draw.

    The J transforms of a step form one batch: a few large operations instead of many small ones.
    """
    images, draws, problem, s = batch.images, batch.draws, batch.problem, batch.problem.settings
    augmentation = _expected_over(problem)
    y = batch.labels.repeat(s.j)
    one = _shaped(problem, images)

    def expected_gradient(protected: Tensor) -> Tensor:
        drawn = [
            (draw(augmentation, images, draws), uniform(one, problem.rho_a, draws), _distortion(problem, one, draws))
            for _ in range(s.j)
        ]
        t = concatenated([transform for transform, _, _ in drawn])
        z, pull_back = _distorted(t(torch.cat([protected] * s.j)), [distortion for _, _, distortion in drawn])
        e = ascend(network, z, y, problem.rho_a, ascent_steps, s.alpha_a, torch.cat([start for _, start, _ in drawn]))
        return _summed(t, pull_back(network.gradient(z + e, y)), s.j)

    return minimise(batch, expected_gradient).round()


def robust_descent(batch: Batch[RobustDescent]) -> Descent:
    """As ``descent``, for ``robust_noise``."""
    images, draws, problem = batch.images, batch.draws, batch.problem
    start, t = start_of(batch), draw(_expected_over(problem), images, draws)
    one = _shaped(problem, images)
    e, distortion = uniform(one, problem.rho_a, draws), _distortion(problem, one, draws)

    def seen(d: Tensor) -> Tensor:
        z = distortion(t((images + d).clamp(0, 255)))
        return z + within_pixels(e, z)

    return Descent(start, seen, batch.labels)


def free_noise(network: FrozenNetwork, batch: Batch[Rem]) -> Tensor:
    """The noise against an adversary that ascends along the same gradients along which the noise descends.

    As in "free" adversarial training (Shafahi et al. 2019), one pass serves both. The adversary's e is in the frame of
    the untransformed image, so that it can be kept from one draw of the transforms to the next.
    """
    images, draws, problem, s = batch.images, batch.draws, batch.problem, batch.problem.settings
    augmentation = _expected_over(problem)
    y = batch.labels.repeat(s.j)
    start = uniform(images, problem.rho_u, draws) if batch.start is None else batch.start
    e = uniform(images, problem.rho_a, draws)

    one = _shaped(problem, images)

    def shared_gradient(protected: Tensor) -> Tensor:
        nonlocal e
        drawn = [(draw(augmentation, images, draws), _distortion(problem, one, draws)) for _ in range(s.j)]
        t = concatenated([transform for transform, _ in drawn])
        e = within_pixels(e, protected)
        z, pull_back = _distorted(t(torch.cat([protected + e] * s.j)), [distortion for _, distortion in drawn])
        g = _summed(t, pull_back(network.gradient(z, y)), s.j)
        e = (e + s.alpha_a * problem.rho_a * g.sign()).clamp(-problem.rho_a, problem.rho_a)
        return g

    return minimise(replace(batch, start=start), shared_gradient).round()


def _expected_over(problem: Problem[RobustDescent]) -> Augmentation:
    """The transforms that the noise should survive: T, or none in the ablation."""
    return Augmentation() if problem.settings.expectation == "identity" else problem.augmentation


def _shaped(problem: Problem[RobustDescent], images: Tensor) -> Tensor:
    """An uninitialised tensor of the shape of transformed images."""
    return images.new_empty(len(images), *transformed(_expected_over(problem), images.shape[1:]))


def _distortion(problem: Problem[RobustDescent], transformed: Tensor, draws: Draws) -> Distortion:
    """A draw of what else the noise should survive, for images of this shape; nothing is drawn if there is nothing."""
    names = problem.settings.expectation
    return _unchanged if isinstance(names, str) else distortions.draw(names, transformed, draws)


def _unchanged(pixels: Tensor) -> Tensor:
    return pixels


def _distorted(pixels: Tensor, each: list[Distortion]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Pixels of J transforms under the distortion of each, and a function that pulls gradients back to the pixels."""
    if each[0] is _unchanged:
        return pixels, _unchanged
    with torch.enable_grad():
        x = pixels.detach().requires_grad_()
        found = torch.cat([distortion(part) for distortion, part in zip(each, x.chunk(len(each)), strict=True)])
    return found.detach(), lambda g: torch.autograd.grad(found, x, g)[0]


def _summed(t: Transform, gradients: Tensor, j: int) -> Tensor:
    """The gradients of a batch of J transforms, pulled back to the images and summed over the transforms."""
    parts = t.pull_back(gradients).chunk(j)
    return torch.stack(parts).sum(0)
