"""Error-minimizing noise with the clean-uniform term."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute import draws as block_draws
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.countermeasures.base import Lesson
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.clean_uniform import noise as clean_uniform
from unlearnable.noises.clean_uniform.settings import CleanUniform
from unlearnable.noises.method import Batch, Problem

from .problems import ALL_BUT_ONE, AUGMENTATIONS, CLASSES, CPU, draws, of, share_equal
from .problems import problem as problem_of_method


def task(rho_u: int = 8, rho_a: int = 4, **changes: Any) -> Problem[CleanUniform]:
    settings = CleanUniform(algorithm="clean-uniform", k_u=3, alpha_u=0.4, k_a=2, alpha_a=0.6, j=2, **changes)
    return Problem(settings, rho_u, rho_a, AUGMENTATIONS[3], CLASSES)


@pytest.mark.parametrize("clip", ["box", "pixels"])
@pytest.mark.parametrize("rho_u", [1, 8, 200])
def test_noise_is_whole_grey_levels_within_the_radius(
    clip: str, rho_u: int, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    d = clean_uniform.noise(fixed, Batch(*batch, task(rho_u, clip=clip), draws()))
    assert d.shape == batch[0].shape
    assert 0 < d.abs().max() <= rho_u
    assert torch.equal(d, d.round())


@pytest.mark.parametrize("clip", ["box", "pixels"])
def test_noise_equals_the_plain_descent_under_transforms_alone(
    clip: str, network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    problem = task(clip=clip)
    expected, _ = plain.robust_noise(network, *batch, replace(problem, rho_a=0), 0, draws(4))
    found = clean_uniform.noise(fixed, Batch(*batch, problem, draws(4)))
    assert share_equal(found, expected.round()) >= ALL_BUT_ONE
    assert fixed.images == clean_uniform.noise_passes(problem) * 7 == 3 * 2 * 7
    sem = of("sem").noise(fixed, Batch(*batch, problem_of_method("sem"), draws(4)))
    assert not torch.equal(found, sem)  # which meets a uniform draw


def test_the_descent_starts_where_the_noise_does_and_lowers_the_loss(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    problem = replace(task(40), augmentation=Augmentation())
    d = clean_uniform.noise(fixed, Batch(*batch, problem, draws(3)))
    descent = clean_uniform.descent(Batch(*batch, problem, draws(3)), 0)
    assert torch.equal(descent.start, plain.start(batch[0], 40, draws(3)))
    assert torch.equal(descent.seen(d), (batch[0] + d).clamp(0, 255))
    start, end = descent.losses(fixed, d)
    assert end.mean() < start.mean()


def test_equal_draws_give_equal_noise_and_others_another(fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]) -> None:
    first, again, other = (clean_uniform.noise(fixed, Batch(*batch, task(), draws(seed))) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_images_noise_does_not_depend_on_its_batch(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_draws, "BLOCK", 3)
    images, labels = batch

    def in_batches_of(size: int) -> Tensor:
        parts = []
        for start in range(0, 7, size):
            stop = min(start + size, 7)
            drawn = block_draws.of_rows(start, stop, 0, "noise", CPU)
            parts.append(clean_uniform.noise(fixed, Batch(images[start:stop], labels[start:stop], task(), drawn)))
        return torch.cat(parts)

    whole = in_batches_of(7)
    for size in (1, 2, 5):
        assert share_equal(in_batches_of(size), whole) >= ALL_BUT_ONE


def test_the_source_model_learns_from_attacked_images_and_beside_them_clean_ones(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    problem, generator, found = task(), draws(9), draws(9)
    d, _ = plain.robust_noise(network, images, labels, replace(problem, rho_a=0), 0, generator)
    expected = plain.attacked_inputs(network, images, labels, d, problem, generator)
    made = Batch(images, labels, problem, found)
    pixels, _ = clean_uniform.training_inputs(fixed, made)
    assert float(((pixels - expected).abs() < 1e-6).double().mean()) > ALL_BUT_ONE
    clean = clean_uniform.training_clean(made, pixels)
    assert torch.equal(clean, plain.transform(problem.augmentation, images, generator)(images))
    assert fixed.images == clean_uniform.training_passes(problem) * 7 == (3 * 2 + 2) * 7
    assert clean_uniform.objective_passes(problem) == 2
    assert clean_uniform.training_passes(replace(problem, rho_a=0)) == 6


@pytest.mark.parametrize("squared", [False, True])
def test_the_objective_is_that_of_the_paper(squared: bool) -> None:
    """Image by image; and batch norm sees attacked and clean images apart, in this order."""
    generator = draws(2)
    network = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, CLASSES))
    attacked, clean = (torch.randn(6, 5, generator=generator) for _ in range(2))
    labels = torch.tensor([0, 2, 1, 1, 0, 2])
    problem = task(uniform_weight=0.7, squared=squared)
    normalised = [(x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt() for x in (attacked, clean)]
    logits, of_clean = (network[1](x) for x in normalised)
    away = [float((p - 1 / CLASSES).detach().square().sum()) ** (1 if squared else 0.5) for p in of_clean.softmax(1)]
    expected = float(F.cross_entropy(logits, labels).detach()) + 0.7 * sum(away) / 6
    loss, found = clean_uniform.objective(problem)(network, Lesson(attacked, labels, clean=clean))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-5)
    running = 0.9 * 0.1 * attacked.mean(0) + 0.1 * clean.mean(0)
    torch.testing.assert_close(network[0].running_mean, running)


def test_a_model_that_is_certain_of_nothing_has_a_finite_gradient() -> None:
    network = nn.Linear(5, CLASSES)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    loss, _ = clean_uniform.objective(task())(network, Lesson(torch.ones(2, 5), torch.tensor([0, 1]), torch.ones(2, 5)))
    loss.backward()  # type: ignore[no-untyped-call]
    assert network.bias.grad is not None
    assert network.bias.grad.isfinite().all()


def test_the_authors_values_are_the_defaults() -> None:
    s = CleanUniform(algorithm="clean-uniform")
    assert (s.k_u, s.alpha_u, s.k_a, s.alpha_a, s.j) == (10, 0.2, 10, 0.2, 5)
    assert (s.clip, s.uniform_weight, s.squared) == ("box", 1.0, False)
