"""Robust and stable error-minimizing noise, against the plain algorithm and without the expectation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.descent import minimise
from unlearnable.noises.method import Batch, method_of
from unlearnable.noises.rem import noise as rem

from .problems import (
    ALL_BUT_ONE,
    AUGMENTATIONS,
    draws,
    free,
    learned_from,
    of,
    problem,
    share_equal,
)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("method", ["rem", "sem"])
@pytest.mark.parametrize("rho_u", [8, 40])
@pytest.mark.parametrize("clip", ["box", "pixels"])
def test_noise_equals_the_plain_algorithm(
    method: str,
    augmentation: Augmentation,
    clip: str,
    rho_u: int,
    network: nn.Module,
    fixed: FrozenNetwork,
    batch: tuple[Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels = batch
    task = problem(method, augmentation, clip, rho_u=rho_u)
    k_a = task.settings.k_a if method == "rem" else 0
    expected, gradients = plain.robust_noise(network, images, labels, task, k_a, draws(4))

    found: list[Tensor] = []

    def recording(batch: Batch[Any], gradient: Callable[[Tensor], Tensor]) -> Tensor:
        def recorded(protected: Tensor) -> Tensor:
            found.append(gradient(protected))
            return found[-1]

        return minimise(batch, recorded)

    monkeypatch.setattr(rem, "minimise", recording)
    d = of(method).noise(fixed, Batch(images, labels, task, draws(4)))

    assert share_equal(d, expected.round()) >= ALL_BUT_ONE
    start = images + plain.clip(plain.start(images, rho_u, draws(4)), images, task)
    reached = (start >= 0) & (start <= 255)  # elsewhere the clamp hides the noise from the loss
    assert reached.all() if clip == "pixels" else 0.4 < reached.double().mean() < 1
    scale = gradients[0].abs().max()
    torch.testing.assert_close(found[0] * reached / scale, gradients[0] / scale, rtol=1e-4, atol=1e-6)
    assert len(found) == len(gradients)


def test_the_free_adversary_ascends_by_the_gradients_of_the_descent(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = free(problem("rem", clip="pixels"))
    s, generator = task.settings, draws(6)
    d = plain.clip(plain.start(images, task.rho_u, generator), images, task)
    e = plain.start(images, task.rho_a, generator)
    for _ in range(s.k_u):
        e = (images + d + e).clamp(0, 255) - images - d
        g = torch.zeros_like(images)
        for _ in range(s.j):
            t = plain.transform(task.augmentation, images, generator)
            attacked = (images + d + e).requires_grad_()
            (part,) = torch.autograd.grad(F.cross_entropy(network(t(attacked)), labels, reduction="sum"), attacked)
            g = g + part
        e = (e + s.alpha_a * task.rho_a * g.sign()).clamp(-task.rho_a, task.rho_a)
        d = plain.clip(d - s.alpha_u * task.rho_u * g.sign(), images, task)
    found = of("rem").noise(fixed, Batch(images, labels, task, draws(6)))
    assert share_equal(found, d.round()) >= ALL_BUT_ONE
    assert fixed.images == s.k_u * s.j * len(images)


def test_a_free_adversary_of_radius_0_is_em(fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]) -> None:
    noises = [
        method_of(task.settings).noise(fixed, Batch(*batch, task, draws()))
        for task in (free(problem("rem", Augmentation(), "pixels", rho_a=0)), problem("em", Augmentation()))
    ]
    assert torch.equal(*noises)


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_source_training_can_go_on_from_an_earlier_noise(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem(method, Augmentation(), clip="box", rho_u=40)
    tiny = replace(task, settings=task.settings.model_copy(update={"k_u": 1, "alpha_u": 0.025}))  # steps of one
    step = of(method).training_inputs
    _, first = step(fixed, Batch(images, labels, task, draws()))
    moved = (step(fixed, Batch(images, labels, tiny, draws(1), first))[1] - first).abs()
    assert moved.max() == 1
    assert moved.mean() > 0.1
    assert (step(fixed, Batch(images, labels, tiny, draws(1)))[1] - first).abs().max() > 1


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_source_training_learns_from_the_noise_that_it_reports(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem(method, Augmentation(), rho_a=0)
    pixels, d = of(method).training_inputs(fixed, Batch(images, labels, task, draws()))
    assert torch.equal(d, of(method).noise(fixed, Batch(images, labels, task, draws())))
    assert torch.equal(pixels, (images + d).clamp(0, 255))


@pytest.mark.parametrize("method", ["rem", "sem"])
def test_micro_batches_change_no_noise(method: str, network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    noises = []
    for micro_batch in (None, 3):  # of 14 joined images
        with frozen(network, torch.float32, micro_batch) as fixed:
            noises.append(of(method).noise(fixed, Batch(*batch, problem(method), draws())))
    assert share_equal(*noises) >= ALL_BUT_ONE


def test_source_training_sees_a_fresh_transform_under_a_fresh_attack(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    for method in ("rem", "sem"):
        task = problem(method)
        s, generator = task.settings, draws(9)
        d, _ = plain.robust_noise(network, images, labels, task, s.k_a if method == "rem" else 0, generator)
        expected = plain.attacked_inputs(network, images, labels, d, task, generator)
        found = learned_from(method, fixed, images, labels, task, draws(9))
        assert float(((found - expected).abs() < 1e-6).double().mean()) > ALL_BUT_ONE


# ---- without the expectation


@pytest.mark.parametrize("attack", ["fresh", "free"])
def test_the_identity_expectation_is_that_of_no_augmentation(
    attack: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    for method in ("rem", "sem") if attack == "fresh" else ("rem",):
        task = problem(method)
        change = {"expectation": "identity"} | ({"attack": attack} if method == "rem" else {})
        ablated = replace(task, settings=task.settings.model_copy(update=change))
        noise = of(method).noise
        found = noise(fixed, Batch(*batch, ablated, draws()))
        plainly = replace(ablated, augmentation=Augmentation(), settings=task.settings.model_copy(update=change))
        assert torch.equal(found, noise(fixed, Batch(*batch, plainly, draws())))
        assert not torch.equal(
            found,
            noise(
                fixed,
                Batch(
                    *batch,
                    replace(task, settings=plainly.settings.model_copy(update={"expectation": "transform"})),
                    draws(),
                ),
            ),
        )


def test_the_identity_expectation_still_averages_over_j_draws_of_the_adversary(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = problem("rem")
    for j in (1, 4):
        before = fixed.images
        settings = task.settings.model_copy(update={"expectation": "identity", "j": j})
        of("rem").noise(fixed, Batch(*batch, replace(task, settings=settings), draws()))
        assert fixed.images - before == settings.k_u * j * (settings.k_a + 1) * len(batch[0])


def test_rem_with_the_identity_expectation_and_no_adversary_is_em(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = problem("rem", AUGMENTATIONS[3], "pixels", rho_a=0)
    ablated = replace(task, settings=task.settings.model_copy(update={"expectation": "identity"}))
    noise = of("rem").noise(fixed, Batch(*batch, ablated, draws()))
    assert torch.equal(noise, of("em").noise(fixed, Batch(*batch, problem("em"), draws())))


@pytest.mark.parametrize("method", ["rem", "sem"])
def test_the_identity_expectation_leaves_the_transform_of_source_training(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem(method, Augmentation(flip=True), rho_a=0)
    ablated = replace(task, settings=task.settings.model_copy(update={"expectation": "identity"}))
    pixels, d = of(method).training_inputs(fixed, Batch(images, labels, ablated, draws()))
    protected = (images + d).clamp(0, 255)
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(pixels, protected, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(pixels, protected, strict=True)]
    assert any(flipped)
    assert any(same)
    assert all(a != b for a, b in zip(flipped, same, strict=True))
