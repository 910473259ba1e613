"""FGSM with a random start (Wong et al., ICLR 2020, "Fast is better than free: revisiting adversarial training")."""

from __future__ import annotations

import torch
from torch import Tensor

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import ascend, uniform
from unlearnable.countermeasures._victims import VictimMeasure
from unlearnable.countermeasures.fgsm_rs.settings import CHECK_STEPS, FgsmRs
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError

CHECK_ALPHA = 0.25


def build(settings: FgsmRs, train: Split, classes: int, seed: int) -> VictimMeasure:
    """Adversarial training whose attack is a uniform start and one signed step of ``alpha`` times the radius.

    Its known failure is catastrophic overfitting: the network learns to withstand that one step and nothing else. So
    some of the batches, chosen by the seeds of their steps, are also attacked by PGD; if it breaks many more images
    than the training attack does, the training fails. The network is attacked in eval mode, as by all trainers here.

    Raises:
        UserError: from the attack: robustness has collapsed.
    """

    def attack(
        network: FrozenNetwork, pixels: Tensor, targets: Tensor, radius: int, generator: torch.Generator
    ) -> Tensor:
        e = ascend(network, pixels, targets, radius, 1, settings.alpha, uniform(pixels, radius, generator))
        if generator.initial_seed() % settings.check_every == 0:
            start = uniform(pixels, radius, generator)
            strong = ascend(network, pixels, targets, radius, CHECK_STEPS, CHECK_ALPHA, start)
            labels = targets if targets.ndim == 1 else targets.argmax(1)
            one, many = (share_right(network, pixels + each, labels) for each in (e, strong))
            if one - many > settings.largest_gap:
                raise UserError(
                    f"victim: catastrophic overfitting: {100 * one:.0f} % of a training batch withstand the attack of "
                    f"fgsm-rs, but only {100 * many:.0f} % PGD with {CHECK_STEPS} steps; lower its alpha or the "
                    "radius, or train against PGD (counter-measure none)"
                )
        return e

    return VictimMeasure(attack=attack)


def share_right(network: FrozenNetwork, pixels: Tensor, labels: Tensor) -> float:
    """The share of the images that the network classifies correctly."""
    return float((network.logits(pixels).argmax(1) == labels).float().mean())
