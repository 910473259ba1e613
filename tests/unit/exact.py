"""Networks in float64, for what must hold on every CPU.

In float32 a sum depends on its order by some 1e-7 of its size, and each CPU, and each size of a batch, has an order of
its own. So once in a while an activation lies so near the kink of a ReLU, or a gradient so near the zero of its sign,
that two orders put it on two sides; what is computed from there on parts by far more than rounding. In float64 this is
a billion times as rare.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest
import torch
from torch import nn


def exactly(network: nn.Module) -> nn.Module:
    """The network in float64, in place, for pixels of any kind."""
    network.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    return network.double()


@contextmanager
def in_float64(stage: ModuleType) -> Iterator[None]:
    """Let a stage create its networks in float64 and pass through them so, for the duration."""
    create = stage.create
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "create", lambda *arguments: exactly(create(*arguments)))
        patch.setattr(stage, "choose_precision", lambda *_: torch.float64)
        yield
