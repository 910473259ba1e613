"""What enters a network's last layer, and gradients of losses on it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from unlearnable import registry
from unlearnable.compute.features import feature_gradient, features
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.networks.build import create

CPU = torch.device("cpu")
PIXELS = 255 * torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def small(micro_batch: int | None = None) -> tuple[nn.Module, FrozenNetwork]:
    """A small network whose running statistics are not the initial ones."""
    network = create("small-cnn", 1, 3, 28, 0, CPU)
    with torch.no_grad():
        network.train()(PIXELS)
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network, FrozenNetwork(network, torch.float32, micro_batch)


def last(network: nn.Module) -> nn.Linear:
    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1]


@pytest.mark.parametrize("name", registry.available("networks"))
def test_the_linear_layer_defined_last_makes_the_logits(name: str) -> None:
    with torch.device("meta"):
        assert last(registry.load_module("networks", name).build(3, 7, "cifar")).out_features == 7


@pytest.mark.parametrize(("name", "side"), [("small-cnn", 28), ("lenet5", 32), ("resnet20", 8)])
def test_the_last_layer_makes_the_logits_of_the_features(name: str, side: int) -> None:
    network = create(name, 1, 3, side, 0, CPU)
    pixels = 255 * torch.rand(2, 1, side, side)
    with frozen(network, torch.float32) as fixed:
        found = features(fixed, pixels)
        assert found.shape == (2, last(network).in_features)
        torch.testing.assert_close(last(network)(found), fixed.logits(pixels))
        assert fixed.images == 0
    assert not last(network)._forward_pre_hooks


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_the_gradient_of_a_loss_that_joins_all_images(micro_batch: int | None) -> None:
    network, fixed = small(micro_batch)

    def loss(g: Tensor) -> Tensor:
        return (g @ g.T).tanh().sum()

    head = last(network)
    without_head = nn.Sequential(*[each for each in network.body if each is not head])  # type: ignore[union-attr]
    x = PIXELS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(without_head(x / 255 - 0.5)), x)
    torch.testing.assert_close(feature_gradient(fixed, PIXELS, loss), expected, rtol=1e-4, atol=1e-9)
    assert expected.abs().max() > 1e-6
    assert fixed.images == 5
    assert fixed.total == pytest.approx(float(expected.sum()), rel=1e-3)


def test_features_of_a_narrow_type_are_widened() -> None:
    network, fixed = small()
    narrow = FrozenNetwork(network, torch.bfloat16)
    found = features(narrow, PIXELS)
    assert found.dtype == torch.float32
    assert not torch.equal(found, features(fixed, PIXELS))
    torch.testing.assert_close(found, features(fixed, PIXELS), rtol=0.1, atol=0.1)
