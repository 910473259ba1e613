"""Gradients through a frozen network, and projected gradient ascent."""

from __future__ import annotations

import shutil

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from unlearnable.compute.engine import compiled
from unlearnable.compute.frozen import frozen
from unlearnable.compute.pgd import ascend, uniform, within_pixels
from unlearnable.networks.build import create

from ..exact import exactly


@pytest.fixture
def network() -> nn.Module:
    return create("small-cnn", 1, 3, 8, 0, torch.device("cpu"))


def batch(rows: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (rows, 1, 8, 8), generator=generator).float()
    return pixels, torch.arange(rows) % 3


@given(radius=st.integers(0, 40), steps=st.integers(0, 4), alpha=st.floats(0.05, 3), seed=st.integers(0, 100))
def test_the_perturbation_stays_in_its_box_and_pixels_stay_valid(
    network: nn.Module, radius: int, steps: int, alpha: float, seed: int
) -> None:
    x, y = batch()
    with frozen(network, torch.float32) as fixed:
        e = ascend(fixed, x, y, radius, steps, alpha, uniform(x, radius, torch.Generator().manual_seed(seed)))
    assert e.abs().max() <= radius
    assert (x + e).min() >= 0
    assert (x + e).max() <= 255
    assert fixed.images == (steps * len(x) if radius else 0)


def test_without_steps_the_random_start_remains(network: nn.Module) -> None:
    x, y = batch()
    with frozen(network, torch.float32) as fixed:
        e = ascend(fixed, x, y, 4, 0, 0.2, uniform(x, 4, torch.Generator().manual_seed(5)))
    assert torch.equal(e, within_pixels(uniform(x, 4, torch.Generator().manual_seed(5)), x))
    assert e.abs().max() > 2


def test_an_adversary_without_a_radius_changes_nothing_and_takes_no_passes(network: nn.Module) -> None:
    x, y = batch()
    with frozen(network, torch.float32) as fixed:
        e = ascend(fixed, x, y, 0, 5, 0.2, uniform(x, 0, torch.Generator().manual_seed(5)))
    assert torch.equal(e, torch.zeros_like(x))
    assert fixed.images == 0


def test_the_random_start_fills_its_box() -> None:
    e = uniform(torch.zeros(100, 1, 10, 10), 4, torch.Generator().manual_seed(0))
    assert -4 <= float(e.min()) < -3.99
    assert 3.99 < float(e.max()) <= 4
    assert abs(float(e.mean())) < 0.1
    assert abs(float(e.var()) - 16 / 3) < 0.2


def test_the_loss_rises(network: nn.Module) -> None:
    x, y = batch(12)
    with frozen(network, torch.float32) as fixed:
        before = fixed.losses(x, y)
        weak, strong = (
            fixed.losses(
                x + ascend(fixed, x, y, radius, 10, 0.2, uniform(x, radius, torch.Generator().manual_seed(0))), y
            )
            for radius in (4, 16)
        )
    assert (weak > before).all()
    assert strong.mean() > weak.mean()


def test_the_gradient_of_an_image_does_not_depend_on_its_batch(network: nn.Module) -> None:
    x, y = batch()
    exactly(network)
    with frozen(network, torch.float64) as fixed:
        together = fixed.gradient(x, y)
        alone = torch.cat([fixed.gradient(x[i : i + 1], y[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-7)
    pixels = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(F.cross_entropy(network.eval()(pixels), y, reduction="sum"), pixels)
    torch.testing.assert_close(together, expected)


def test_probabilities_are_targets_like_labels(network: nn.Module) -> None:
    x, y = batch()
    exactly(network)
    certain = F.one_hot(y, 3).float()
    mixed = 0.3 * certain + 0.7 * certain.roll(1, 1)
    for micro_batch in (None, 4):
        with frozen(network, torch.float64, micro_batch) as fixed:
            torch.testing.assert_close(fixed.gradient(x, certain), fixed.gradient(x, y), rtol=1e-5, atol=1e-8)
            torch.testing.assert_close(fixed.losses(x, certain), fixed.losses(x, y), rtol=1e-5, atol=1e-7)
            expected = 0.3 * fixed.gradient(x, y) + 0.7 * fixed.gradient(x, (y + 1) % 3)
            torch.testing.assert_close(fixed.gradient(x, mixed), expected, rtol=1e-4, atol=1e-7)
            start = torch.zeros_like(x)
            assert torch.equal(ascend(fixed, x, certain, 8, 3, 0.2, start), ascend(fixed, x, y, 8, 3, 0.2, start))


@pytest.mark.parametrize("micro_batch", [1, 4, 6, 7])
def test_micro_batches_change_no_gradient(network: nn.Module, micro_batch: int) -> None:
    x, y = batch()
    exactly(network)
    sizes: list[int] = []
    with frozen(network, torch.float64) as fixed:
        whole = fixed.gradient(x, y)
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    with frozen(network, torch.float64, micro_batch) as fixed:
        torch.testing.assert_close(fixed.gradient(x, y), whole, rtol=1e-5, atol=1e-8)
        assert sum(sizes) == fixed.images == 6
        torch.testing.assert_close(fixed.logits(x), network(x).float(), rtol=1e-5, atol=1e-6)
    assert max(sizes[:-1]) <= micro_batch
    assert sum(sizes[:-1]) == 12
    assert fixed.images == 6  # logits alone are no pass forward and back


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed, which torch.compile needs on a CPU")
def test_a_compiled_network_gives_the_gradient_of_the_network_as_its_weights_change(network: nn.Module) -> None:
    x, y = batch()
    x = x.double()
    forward = compiled(network.double())
    gradients = []
    for _ in range(2):
        with frozen(network, torch.float64) as fixed:
            expected = fixed.gradient(x, y)
        with frozen(network, torch.float64, compiled=forward) as fixed:
            gradients.append(fixed.gradient(x, y))
        torch.testing.assert_close(gradients[-1], expected, rtol=1e-5, atol=1e-8)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.3)
    assert not torch.equal(*gradients)


def test_the_compiler_is_told_to_be_deterministic_where_torch_is(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config as compiler

    before = torch.get_deterministic_debug_mode()
    monkeypatch.setattr(compiler, "deterministic", False)  # an earlier test may have told it
    try:
        torch.set_deterministic_debug_mode("warn")
        compiled(network)
        assert compiler.deterministic
        assert torch.get_deterministic_debug_mode() == 1
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_deterministic_debug_mode(before)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_frozen_restores_mode_and_parameter_gradients(network: nn.Module, training: bool, fails: bool) -> None:
    first = next(network.parameters())
    first.requires_grad_(False)  # not learned before, not learned after
    wanted = [p.requires_grad for p in network.parameters()]
    network.train(training)
    try:
        with frozen(network, torch.float32):
            assert not network.training
            assert not any(p.requires_grad for p in network.parameters())
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    assert [p.requires_grad for p in network.parameters()] == wanted
    assert all(module.training == training for module in network.modules())


def test_an_attack_leaves_weights_statistics_and_gradients_alone(network: nn.Module) -> None:
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    x, y = batch()
    with frozen(network, torch.float32) as fixed:
        ascend(fixed, x, y, 8, 3, 0.2, uniform(x, 8, torch.Generator().manual_seed(0)))
    after = network.state_dict()
    assert any("running_mean" in key for key in after)
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert all(p.grad is None for p in network.parameters())
    assert not x.requires_grad
