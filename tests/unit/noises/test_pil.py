"""Perturbation-induced linearization."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.compute import draws
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.cost import Shard
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.pil import cost
from unlearnable.noises.pil import noise as pil
from unlearnable.noises.pil.cost import LinearWork
from unlearnable.noises.pil.settings import Pil
from unlearnable.training.sgd import Sgd
from unlearnable.training.work import Amount

CPU = torch.device("cpu")
CLASSES = 3


def task(rho_u: int = 8, **changes: Any) -> Problem[Pil]:
    return Problem(Pil(algorithm="pil", **changes), rho_u, 0, Augmentation(flip=True, crop_padding=1), CLASSES)


def noise(train: Split, problem: Problem[Pil], seed: int = 0, batch: int | None = None) -> Tensor:
    """The noise of all images, ``(N, C, H, W)``, in batches of ``batch``."""
    weights, rows = pil.basis(None, train, problem, seed, CPU), len(train.labels)
    parts = []
    for start in range(0, rows, batch or rows):
        stop = min(start + (batch or rows), rows)
        images = torch.from_numpy(train.images[start:stop]).permute(0, 3, 1, 2).float()
        labels = torch.from_numpy(train.labels[start:stop])
        parts.append(pil.noise(weights, Batch(images, labels, problem, draws.of_rows(start, stop, seed, "noise", CPU))))
    return torch.cat(parts)


@pytest.mark.parametrize("clip", ["box", "pixels"])
@pytest.mark.parametrize("rho_u", [1, 8, 200])
def test_noise_is_whole_grey_levels_within_the_radius(clip: str, rho_u: int, train: Split) -> None:
    d = noise(train, task(rho_u, clip=clip))
    assert d.shape == (40, 1, 6, 8)
    assert d.dtype == torch.float32
    assert d.abs().max() == rho_u
    assert torch.equal(d, d.round())
    seen = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2) + d
    assert (seen.min() >= 0 and seen.max() <= 255) == (clip == "pixels")


def test_equal_seeds_give_equal_noise_and_others_another(train: Split) -> None:
    torch.manual_seed(0)
    first = noise(train, task())
    torch.manual_seed(1)  # the global stream has no part in it
    assert torch.equal(first, noise(train, task()))
    assert not torch.equal(first, noise(train, task(), seed=1))


def test_an_images_noise_does_not_depend_on_its_batch(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "BLOCK", 5)
    whole = noise(train, task())
    for batch in (1, 5, 7, 39):
        assert torch.equal(noise(train, task(), batch=batch), whole)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9, 1.0])
def test_a_step_goes_down_the_gradient_of_the_papers_loss(weight: float) -> None:
    """By automatic differentiation of the loss of the perturbation that the paper subtracts, image by image."""
    weights = torch.randn(CLASSES, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    images = torch.randint(0, 256, (5, 1, 6, 8), generator=torch.Generator().manual_seed(2)).double()
    labels, uniform = torch.tensor([2, 0, 1, 1, 2]), torch.full((CLASSES,), 1 / CLASSES, dtype=torch.float64)
    problem = task(16, k_u=1, alpha_u=0.25, label_weight=weight)
    batch = Batch(images, labels, problem, torch.Generator().manual_seed(3))
    start = torch.empty_like(images).uniform_(-16, 16, generator=torch.Generator().manual_seed(3))
    expected = []
    for x, d, y in zip(images, start, labels, strict=True):
        subtracted = (-d.flatten() / 255).requires_grad_()
        shown, hidden = weights @ subtracted, weights @ (x.flatten() / 255 - subtracted)
        loss = weight * F.cross_entropy(shown, y) + (1 - weight) * F.kl_div(
            F.log_softmax(hidden, 0), uniform, reduction="sum"
        )
        (g,) = torch.autograd.grad(loss, subtracted)
        moved = (-d.flatten() - 4 * g.sign()).clamp(-16, 16)
        expected.append(-moved.view_as(d))
    assert torch.equal(pil.noise(weights, batch), torch.stack(expected).round())


def test_the_linear_model_is_trained_as_two_layers_by_sgd(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against torch's own optimiser and schedule, from the same initial weights and batches."""
    monkeypatch.setattr(pil, "BATCH", 15)
    batches: list[tuple[Tensor, Tensor]] = []
    first: list[Tensor] = []
    learn = pil.learn

    def recorded(layers: list[Tensor], sgd: Sgd, pixels: Tensor, labels: Tensor, lr: float) -> None:
        if not first:
            first.extend(layer.detach().clone() for layer in layers)
        batches.append((pixels, labels))
        learn(layers, sgd, pixels, labels, lr)

    monkeypatch.setattr(pil, "learn", recorded)
    found = pil.basis(None, train, task(epochs=4, lr=0.3), 5, CPU)

    assert [len(labels) for _, labels in batches] == [15, 15, 10] * 4
    every = sorted(tuple(row.tolist()) for row in torch.cat([x for x, _ in batches[:3]]))
    assert every == sorted(tuple(row.tolist()) for row in torch.from_numpy(train.images[:]).double().flatten(1) / 255)
    assert not torch.equal(batches[0][1], batches[3][1])  # in another order
    model = torch.nn.Sequential(torch.nn.Linear(48, 3, bias=False), torch.nn.Linear(3, 3, bias=False)).double()
    for parameter, value in zip(model.parameters(), first, strict=True):
        assert value.abs().max() <= 1 / math.sqrt(value.shape[1])  # torch's own initial weights
        parameter.data.copy_(value)
    optimizer = torch.optim.SGD(model.parameters(), 0.3, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
    for index, (x, y) in enumerate(batches):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if index % 3 == 2:
            schedule.step()
    inner, outer = model.parameters()
    product = outer @ inner
    torch.testing.assert_close(found, product.detach(), rtol=1e-9, atol=1e-12)


def test_a_linear_model_of_the_noise_alone_knows_every_label(train: Split) -> None:
    problem = task(20, clip="pixels")
    weights = pil.basis(None, train, problem, 0, CPU)
    d = noise(train, problem)
    shown = pil.flat(-d) @ weights.T
    assert torch.equal(shown.argmax(1), torch.from_numpy(train.labels))


def test_a_training_that_diverges_is_refused(train: Split) -> None:
    with pytest.raises(UserError, match=r"^method pil: the training of the linear model diverges; lower lr$"):
        pil.basis(None, train, task(lr=1e200), 0, CPU)


def test_it_takes_no_network_and_its_products_of_matrices_are_counted() -> None:
    problem = task()
    assert problem.settings.source == "none"
    assert problem.settings.radii == ("rho_u",)
    shard = Shard(replace(problem, classes=10), None, (3, 8, 8), 128, 1000, 50_000)
    assert cost.of_noise(shard) == [
        Amount(LinearWork("learn", 192, 10, 512), 30 * 50_000),
        Amount(LinearWork("descend", 192, 10, 128), 30 * 1000),
    ]


def test_the_papers_values_are_the_defaults() -> None:
    s = task().settings
    assert (s.k_u, s.alpha_u, s.clip, s.label_weight, s.epochs, s.lr) == (30, 0.1, "box", 0.9, 30, 0.003)
