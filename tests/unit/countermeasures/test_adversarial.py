"""TRADES and MART against plain re-derivations in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.compute.frozen import frozen
from unlearnable.countermeasures._adversarial import divergence, small_gaussian
from unlearnable.countermeasures.base import Lesson
from unlearnable.countermeasures.mart import countermeasure as mart
from unlearnable.countermeasures.mart.settings import Mart
from unlearnable.countermeasures.trades import countermeasure as trades
from unlearnable.countermeasures.trades.settings import Trades
from unlearnable.datasets.split import Split
from unlearnable.networks.build import create

from ..exact import exactly

TRAIN = Split(np.zeros((3, 8, 8, 1), np.uint8), np.arange(3), ["a", "b", "c"])
MEASURES: list[Any] = [(trades, Trades(kind="trades"), 6.0), (mart, Mart(kind="mart"), 5.0)]


@pytest.fixture
def network() -> nn.Module:
    return create("small-cnn", 1, 3, 8, 0, torch.device("cpu"))


@pytest.fixture
def lesson() -> Lesson:
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(0, 256, (6, 1, 8, 8), generator=generator).float()
    pixels = (clean + torch.empty_like(clean).uniform_(-8, 8, generator=generator)).clamp(0, 255)
    return Lesson(pixels=pixels, targets=torch.arange(6) % 3, clean=clean)


def logits(rows: int = 5, classes: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    clean, attacked = 3 * torch.randn(2, rows, classes, generator=generator, dtype=torch.float64)
    return clean, attacked, torch.randint(classes, (rows,), generator=generator)


def softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def plain_trades(clean: Tensor, attacked: Tensor, labels: Tensor, beta: float) -> float:
    total = 0.0
    for a, b, y in zip(clean.tolist(), attacked.tolist(), labels.tolist(), strict=True):
        p, q = softmax(a), softmax(b)
        total += -math.log(p[y]) + beta * kl(p, q)
    return total / len(labels)


def plain_mart(clean: Tensor, attacked: Tensor, labels: Tensor, beta: float) -> float:
    """As the authors' code computes it, with all of its constants."""
    total = 0.0
    for a, b, y in zip(clean.tolist(), attacked.tolist(), labels.tolist(), strict=True):
        p, q = softmax(a), softmax(b)
        first, second = sorted(range(len(q)), key=lambda k: -q[k])[:2]
        wrong = q[second if first == y else first]
        total += -math.log(q[y]) - math.log(1.0001 - wrong + 1e-12) + beta * kl(p, q) * (1.0000001 - p[y])
    return total / len(labels)


@pytest.mark.parametrize(("loss", "plain"), [(trades.loss, plain_trades), (mart.loss, plain_mart)])
def test_the_loss_is_the_published_one(loss: Any, plain: Any) -> None:
    clean, attacked, labels = logits()
    assert 0 < (attacked.argmax(1) == labels).sum() < len(labels)  # both branches of MART's margin
    for beta in (0.5, 6.0):
        assert float(loss(clean, attacked, labels, beta)) == pytest.approx(
            plain(clean, attacked, labels, beta), rel=1e-6
        )


@pytest.mark.parametrize("loss", [trades.loss, mart.loss])
def test_the_loss_has_the_gradient_of_its_differences_in_both_arguments(loss: Any) -> None:
    clean, attacked, labels = logits()
    assert torch.autograd.gradcheck(
        lambda a, b: loss(a, b, labels, 3.0), (clean.requires_grad_(), attacked.requires_grad_())
    )


def test_divergence_of_equal_predictions_is_zero() -> None:
    clean, attacked, _ = logits()
    assert divergence(clean, clean + 7).abs().max() < 1e-12
    assert (divergence(clean, attacked) > 0).all()


def test_mart_stays_finite_where_the_network_is_certain_and_wrong() -> None:
    attacked = torch.tensor([[-200.0, 200.0]]).requires_grad_()
    value = mart.loss(torch.tensor([[200.0, -200.0]]), attacked, torch.tensor([0]), 5.0)
    value.backward()  # type: ignore[no-untyped-call]
    assert attacked.grad is not None
    assert math.isfinite(value.item())
    assert attacked.grad.isfinite().all()
    assert value.item() == pytest.approx(400 - math.log(1e-4), rel=1e-3)


def test_attack_targets_are_the_frozen_networks_probabilities_and_give_the_gradient_of_kl(
    network: nn.Module, lesson: Lesson
) -> None:
    measure = trades.build(Trades(kind="trades"), TRAIN, 3, 0)
    assert measure.attack_targets is not None
    exactly(network)
    with frozen(network, torch.float64) as fixed:
        targets = measure.attack_targets(fixed, lesson.clean, lesson.targets)
        gradient = fixed.gradient(lesson.pixels, targets)
    network.eval()
    torch.testing.assert_close(targets, network(lesson.clean).softmax(1).float())
    torch.testing.assert_close(targets.sum(1), torch.ones(6))
    assert not targets.requires_grad
    pixels = lesson.pixels.double().requires_grad_()
    q = F.log_softmax(network(pixels), 1)
    divergences = F.kl_div(q, network(lesson.clean).softmax(1).detach(), reduction="sum")
    (expected,) = torch.autograd.grad(divergences, pixels)
    # The gradient is of a difference of probabilities, of which rounding them to float32 is up to a thousandth.
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-2, atol=1e-2 * float(expected.abs().max()))


def test_mart_attacks_the_labels() -> None:
    assert mart.build(Mart(kind="mart"), TRAIN, 3, 0).attack_targets is None


@pytest.mark.parametrize(("module", "settings", "beta"), MEASURES)
def test_the_objective_passes_clean_and_attacked_images_in_train_mode(
    module: Any, settings: Any, beta: float, network: nn.Module, lesson: Lesson
) -> None:
    twin = create("small-cnn", 1, 3, 8, 0, torch.device("cpu")).double().train()
    clean, attacked = twin(lesson.clean.double()), twin(lesson.pixels.double())
    expected = module.loss(clean, attacked, lesson.targets, beta)
    expected.backward()

    measure = module.build(settings, TRAIN, 3, 0)
    value, returned = measure.objective(exactly(network).train(), lesson)
    value.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(returned.double(), attacked, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-5)
    for name, buffer in network.named_buffers():
        torch.testing.assert_close(buffer.double(), twin.get_buffer(name).double(), rtol=1e-6, atol=1e-6)
        if name.endswith("num_batches_tracked"):
            assert buffer == settings.passes == 2


@pytest.mark.parametrize(("module", "settings", "beta"), MEASURES)
def test_the_attack_starts_a_quarter_of_a_grey_level_away(module: Any, settings: Any, beta: float) -> None:
    start = module.build(settings, TRAIN, 3, 0).attack_start
    assert start is small_gaussian
    pixels = torch.zeros(50, 1, 20, 20)
    e = start(pixels, 8.0, torch.Generator().manual_seed(0))
    assert e.shape == pixels.shape
    assert float(e.std()) == pytest.approx(0.255, rel=0.02)
    assert abs(float(e.mean())) < 0.01
    assert torch.equal(e, start(pixels, 8.0, torch.Generator().manual_seed(0)))
    assert start(pixels, 0.1, torch.Generator().manual_seed(0)).abs().max() <= 0.1
