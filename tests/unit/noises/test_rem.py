"""Robust and stable error-minimizing noise, against the plain algorithm and without the expectation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute import distortions
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.descent import minimise
from unlearnable.noises.method import Batch, Problem, method_of
from unlearnable.noises.rem import noise as rem
from unlearnable.noises.rem.settings import Distortion, Rem

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


def test_a_step_from_a_given_start_is_the_sign_of_the_gradient_there(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    """SEM without transforms and adversary, by autograd alone: ``d = clip(start - alpha_u rho_u sign g)``."""
    images, labels = batch
    task = problem("sem", Augmentation(), clip="box", rho_a=0)
    one = replace(task, settings=task.settings.model_copy(update={"k_u": 1, "alpha_u": 0.25, "j": 1}))
    start = torch.randint(-8, 8, images.shape, generator=draws(5)) + 0.25  # autograd takes the clamp's ends for outside
    d = start.clone().requires_grad_()
    F.cross_entropy(network((images + d).clamp(0, 255)), labels).backward()  # type: ignore[no-untyped-call]
    assert d.grad is not None
    expected = (start - 2 * d.grad.sign()).clamp(-8, 8).round()
    assert (expected != start.round()).double().mean() > 0.3  # where the clamp does not hide the noise
    found = of("sem").noise(fixed, Batch(images, labels, one, draws(), start))
    assert share_equal(found, expected) >= ALL_BUT_ONE


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


# ---- a wider expectation


def widened(method: str, names: list[str], clip: str = "pixels", **changes: Any) -> Problem[Any]:
    task = problem(method, AUGMENTATIONS[3], clip)
    return replace(task, settings=task.settings.model_copy(update={"expectation": names} | changes))


@pytest.mark.parametrize("method", ["rem", "sem", "free"])
def test_a_list_that_changes_nothing_gives_the_noise_of_no_list(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    """With one transform and one step; after these, the draws differ."""
    name, change = ("rem", {"attack": "free"}) if method == "free" else (method, {})
    task = widened(name, ["none"], j=1, k_u=1, k_a=1, **change)
    plainly = replace(task, settings=task.settings.model_copy(update={"expectation": "transform"}))
    found, expected = (of(name).noise(fixed, Batch(*batch, each, draws(3))) for each in (task, plainly))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("method", ["rem", "sem"])
def test_noise_descends_on_the_loss_of_distorted_images(
    method: str, network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    """One step, with the distortions drawn again and the gradient of the whole by autograd."""
    images, labels = batch
    task = widened(method, ["blur", "jpeg", "none"], k_u=1, k_a=1)
    s, generator = task.settings, draws(4)
    d = plain.clip(plain.start(images, task.rho_u, generator), images, task)
    protected, drawn = images + d, []
    for _ in range(s.j):
        t = plain.transform(task.augmentation, images, generator)
        e = plain.start(images, task.rho_a, generator)
        drawn.append((t, e, distortions.draw(s.expectation, images, generator)))
    g = torch.zeros_like(images)
    for t, start, distortion in drawn:
        z = distortion(t(protected)).detach()
        e = (z + start).clamp(0, 255) - z
        if method == "rem":
            x = (z + e).requires_grad_()
            (up,) = torch.autograd.grad(F.cross_entropy(network(x), labels, reduction="sum"), x)
            e = (e + s.alpha_a * task.rho_a * up.sign()).clamp(-task.rho_a, task.rho_a)
            e = (z + e).clamp(0, 255) - z
        leaf = protected.clone().requires_grad_()
        loss = F.cross_entropy(network(distortion(t(leaf)) + e), labels, reduction="sum")
        g = g + torch.autograd.grad(loss, leaf)[0]
    expected = plain.clip(d - s.alpha_u * task.rho_u * g.sign(), images, task).round()
    found = of(method).noise(fixed, Batch(images, labels, task, draws(4)))
    assert share_equal(found, expected) >= ALL_BUT_ONE
    assert fixed.images == of(method).noise_passes(task) * len(images)


@pytest.mark.parametrize("method", ["rem", "sem", "free"])
def test_a_widened_descent_starts_under_the_first_draw_of_the_noise(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    name, change = ("rem", {"attack": "free"}) if method == "free" else (method, {})
    task = widened(name, ["gray", "jpeg", "bands"], **change)
    first: list[Tensor] = []

    class Watched(FrozenNetwork):
        def gradient(self, pixels: Tensor, targets: Tensor) -> Tensor:
            first.append(pixels)
            return super().gradient(pixels, targets)

    of(name).noise(Watched(fixed.network, torch.float32), Batch(*batch, task, draws(3)))
    descent = of(name).descent(Batch(*batch, task, draws(3)), 0)
    torch.testing.assert_close(descent.seen(descent.start), first[0][: len(batch[0])])


def test_the_names_of_distortions_are_those_that_there_are() -> None:
    assert list(get_args(Distortion)) == list(distortions.DISTORTIONS)


@pytest.mark.parametrize("wrong", [[], ["posterise"], "jpeg"])
def test_an_expectation_over_nothing_or_the_unknown_is_a_fault(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="expectation"):
        Rem(algorithm="rem", expectation=wrong)
