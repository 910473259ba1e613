"""A small network, a batch of images and a training set."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unlearnable.compute.frozen import frozen
from unlearnable.datasets.split import Split

from .problems import (
    CLASSES,
    draws,
)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A smooth network in double precision, with batch norm whose statistics are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 6 * 8, CLASSES)
        )
        norm = body[1]
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.3, 2)

        class Scaled(nn.Module):
            def forward(self, pixels: Tensor) -> Tensor:
                return pixels / 255 - 0.5

        return nn.Sequential(Scaled(), body).double()


@pytest.fixture
def fixed(network: nn.Module) -> Any:
    with frozen(network, torch.float32) as network_:
        yield network_


@pytest.fixture
def single(network: nn.Module) -> Any:
    """The network in single precision, for what converts images itself."""
    with frozen(copy.deepcopy(network).float(), torch.float32) as network_:
        yield network_


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Images with pixels at and near both ends of the range, where clipping matters."""
    images = torch.randint(-60, 316, (7, 1, 6, 8), generator=draws(7)).clamp(0, 255).double()
    return images, torch.arange(7) % CLASSES


@pytest.fixture
def train(batch: tuple[Tensor, Tensor]) -> Split:
    """40 images whose labels are not in turn, so that no row number is a label."""
    images = np.random.default_rng(2).integers(0, 256, (40, 6, 8, 1), np.uint8)
    labels = np.random.default_rng(3).integers(0, CLASSES, 40)
    return Split(images, labels, ["cat", "dog", "owl"])
