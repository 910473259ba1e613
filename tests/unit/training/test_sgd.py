"""The optimiser agrees with torch's to the bit, also after it is restored from a checkpoint."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unlearnable.training.sgd import Sgd

RATES = [0.5, 0.5, 0.05, 0.05, 0.005]


def parameters() -> list[Tensor]:
    """Two parameters that are trained, and one that never has a gradient."""
    draws = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=draws, requires_grad=True) for shape in ((5, 3), (7,), (2,))]


def gradients(step: int) -> list[Tensor]:
    draws = torch.Generator().manual_seed(step + 1)
    return [torch.randn(shape, generator=draws) for shape in ((5, 3), (7,))]


def trained_by_torch(momentum: float, weight_decay: float) -> list[Tensor]:
    found = parameters()
    optimizer = torch.optim.SGD(found, 1.0, momentum=momentum, weight_decay=weight_decay)
    for step, lr in enumerate(RATES):
        optimizer.param_groups[0]["lr"] = lr
        for parameter, gradient in zip(found, gradients(step), strict=False):
            parameter.grad = gradient
        optimizer.step()
    return found


@pytest.mark.parametrize("weight_decay", [0.0, 5e-4])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_updates_are_those_of_torch(momentum: float, weight_decay: float) -> None:
    found = parameters()
    optimizer = Sgd(found, momentum, weight_decay)
    for step, lr in enumerate(RATES):
        if step == 3:  # as a resumed job does
            state = optimizer.state()
            optimizer = Sgd(found, momentum, weight_decay)
            optimizer.restore(state)
        optimizer.forget_gradients()
        assert all(parameter.grad is None for parameter in found)
        for parameter, gradient in zip(found, gradients(step), strict=False):
            parameter.grad = gradient
        optimizer.step(lr)
    for ours, theirs in zip(found, trained_by_torch(momentum, weight_decay), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(found[2], parameters()[2])
