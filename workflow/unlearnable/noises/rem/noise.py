"""Robust error-minimizing noise, REM (Fu et al., ICLR 2022, Algorithm 1): min-min-max."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.compute.augment import Transform, draw, join, transformed
from unlearnable.compute.draws import Draws
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import ascend, uniform, within_pixels
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.noises.descent import minimise
from unlearnable.noises.method import Problem
from unlearnable.noises.rem.settings import Rem, RobustDescent


def noise_passes(problem: Problem) -> int:
    """Forward+backward passes over a batch that its noise takes."""
    s: Rem = problem.settings
    return s.k_u * s.j * (1 if s.attack == "free" else ascent_passes(problem) + 1)


def training_passes(problem: Problem) -> int:
    """Forward+backward passes of a source-training step before its update."""
    return noise_passes(problem) + ascent_passes(problem)


def ascent_passes(problem: Problem) -> int:
    """Forward+backward passes of the adversary's whole attack; without a radius it makes none."""
    settings: RobustDescent = problem.settings
    return settings.k_a if problem.rho_a else 0


def basis(network: FrozenNetwork, train: Split, problem: Problem, seed: int, device: torch.device) -> FrozenNetwork:
    """The source model."""
    return network


def noise(basis: FrozenNetwork, images: Tensor, labels: Tensor, problem: Problem, generator: Draws) -> Tensor:
    """Descend on the expected loss, over J transforms, of the image under the strongest adversary.

    Returns:
        ``(B, C, H, W)``, whole numbers with ``|d| <= rho_u``.
    """
    return _descend(basis, images, labels, problem, generator, None)


def training_inputs(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What the source model learns from at one step, protected images under attack, and the noise in them."""
    d = _descend(network, images, labels, problem, generator, start)
    return attacked(network, images + d, labels, problem, generator), d


def attacked(network: FrozenNetwork, protected: Tensor, labels: Tensor, problem: Problem, generator: Draws) -> Tensor:
    """Protected images, augmented and attacked afresh."""
    s = problem.settings
    z = draw(problem.augmentation, protected, generator)(protected.clamp(0, 255))
    return z + ascend(network, z, labels, problem.rho_a, s.k_a, s.alpha_a, uniform(z, problem.rho_a, generator))


def _descend(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None,
) -> Tensor:
    if problem.settings.attack == "free":
        return free_noise(network, images, labels, problem, generator, start)
    return robust_noise(network, images, labels, problem, generator, start, problem.settings.k_a)


def robust_noise(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None,
    ascent_steps: int,
) -> Tensor:
    """The noise against an adversary of ``ascent_steps`` steps; with none (SEM) a uniform draw remains of it.

    The J transforms of a step are one joined batch: few large operations in place of many small ones.
    """
    s, augmentation = problem.settings, _expected_over(problem)
    y = labels.repeat(s.j)
    one = images.new_empty(len(images), *transformed(augmentation, images.shape[1:]))  # only its shape counts

    def expected_gradient(protected: Tensor) -> Tensor:
        draws = [(draw(augmentation, images, generator), uniform(one, problem.rho_a, generator)) for _ in range(s.j)]
        t = join([transform for transform, _ in draws])
        z = t(torch.cat([protected] * s.j))
        e = ascend(network, z, y, problem.rho_a, ascent_steps, s.alpha_a, torch.cat([start for _, start in draws]))
        return _summed(t, network.gradient(z + e, y), s.j)

    return minimise(images, expected_gradient, problem.rho_u, s, generator, start).round()


def free_noise(
    network: FrozenNetwork,
    images: Tensor,
    labels: Tensor,
    problem: Problem,
    generator: Draws,
    start: Tensor | None,
) -> Tensor:
    """The noise against an adversary that ascends by the same gradients by which the noise descends.

    As in "free" adversarial training (Shafahi et al. 2019) one pass serves both. The adversary's e lives in the frame
    of the untransformed image, so that it survives from one draw of the transforms to the next.
    """
    s, augmentation = problem.settings, _expected_over(problem)
    y = labels.repeat(s.j)
    start = uniform(images, problem.rho_u, generator) if start is None else start
    e = uniform(images, problem.rho_a, generator)

    def shared_gradient(protected: Tensor) -> Tensor:
        nonlocal e
        t = join([draw(augmentation, images, generator) for _ in range(s.j)])
        e = within_pixels(e, protected)
        g = _summed(t, network.gradient(t(torch.cat([protected + e] * s.j)), y), s.j)
        e = (e + s.alpha_a * problem.rho_a * g.sign()).clamp(-problem.rho_a, problem.rho_a)
        return g

    return minimise(images, shared_gradient, problem.rho_u, s, generator, start).round()


def _expected_over(problem: Problem) -> Augmentation:
    """The transforms that the noise is to survive: T, or for the ablation none."""
    return problem.augmentation if problem.settings.expectation == "transform" else Augmentation()


def _summed(t: Transform, gradients: Tensor, j: int) -> Tensor:
    """The gradients of a joined batch, pulled back to the images and summed over their J transforms."""
    parts = t.pull_back(gradients).chunk(j)
    return torch.stack(parts).sum(0)
