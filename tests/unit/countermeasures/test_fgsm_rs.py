"""FGSM with a random start, and the check that its robustness has not collapsed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.compute.frozen import frozen
from unlearnable.countermeasures.fgsm_rs import countermeasure as fgsm_rs
from unlearnable.countermeasures.fgsm_rs.settings import FgsmRs
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.networks.build import create

TRAIN = Split(np.zeros((2, 8, 8, 1), np.uint8), np.arange(2), ["a", "b"])


def attacked(network: nn.Module, pixels: Tensor, targets: Tensor, seed: int, **keys: Any) -> tuple[Tensor, int]:
    """The perturbation at radius 8, and the passes that it took."""
    attack = fgsm_rs.build(FgsmRs(kind="fgsm-rs", **keys), TRAIN, 2, 0).attack
    assert attack is not None
    with frozen(network, torch.float32) as fixed:
        e = attack(fixed, pixels, targets, 8, torch.Generator().manual_seed(seed))
        return e, fixed.images // len(pixels)


def test_the_attack_is_one_signed_step_from_a_uniform_start() -> None:
    network = create("small-cnn", 1, 3, 8, 0, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    pixels, labels = torch.randint(0, 256, (6, 1, 8, 8), generator=generator).float(), torch.arange(6) % 3
    start = torch.empty_like(pixels).uniform_(-8, 8, generator=torch.Generator().manual_seed(7))
    first = (pixels + start).clamp(0, 255).requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(network(first), labels), first)
    moved = (first - pixels + 10 * gradient.sign()).clamp(-8, 8)
    expected = (pixels + moved).clamp(0, 255) - pixels
    found, passes = attacked(network, pixels, labels, 7)
    assert passes == 1
    torch.testing.assert_close(found, expected.detach())


class Periodic(nn.Module):
    """Right where a pixel is 128 plus a multiple of 8, and wrong between."""

    def forward(self, pixels: Tensor) -> Tensor:
        margin = (2 * math.pi / 8 * (pixels.flatten(1) - 128)).cos()
        return torch.cat([margin, -margin], 1)


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_network_that_withstands_no_more_than_its_own_attack_is_refused(probabilities: bool) -> None:
    pixels, targets = torch.full((60, 1, 1, 1), 128.0), torch.zeros(60, dtype=torch.int64)
    if probabilities:
        targets = torch.tensor([[0.8, 0.2]]).repeat(60, 1)
    said = r"catastrophic overfitting: 100 % of a training batch withstand .*, but only 0 % PGD with 10 steps; lower"
    with pytest.raises(UserError, match=said):
        attacked(Periodic(), pixels, targets, 20, alpha=2.0)  # so that a step ends at the box's side, 8 levels away


def test_only_a_share_of_the_steps_is_checked_and_their_seeds_choose_it() -> None:
    pixels, labels = torch.full((60, 1, 1, 1), 128.0), torch.zeros(60, dtype=torch.int64)
    found = {seed: attacked(Periodic(), pixels, labels, seed, alpha=2.0, largest_gap=1.0)[1] for seed in range(1, 41)}
    assert [seed for seed, passes in found.items() if passes == 11] == [20, 40]
    assert set(found.values()) == {1, 11}
    always = {attacked(Periodic(), pixels, labels, seed, check_every=1, largest_gap=1.0)[1] for seed in range(5)}
    assert always == {11}


def test_the_passes_of_an_attack_are_those_that_it_takes_on_average() -> None:
    assert FgsmRs(kind="fgsm-rs").attack_passes(10) == 1.5
    assert FgsmRs(kind="fgsm-rs", check_every=1).attack_passes(10) == 11
