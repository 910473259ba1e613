"""TRADES (Zhang et al., ICML 2019)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.countermeasures._adversarial import divergence, small_gaussian
from unlearnable.countermeasures.base import Countermeasure, Lesson
from unlearnable.countermeasures.trades.settings import Trades
from unlearnable.datasets.split import Split


def build(settings: Trades, train: Split, classes: int, seed: int) -> Countermeasure:
    """Adversarial training that fits clean images to the labels and attacked images to the clean predictions.

    The objective returns the logits of the attacked images, as in plain adversarial training.
    """

    def objective(network: nn.Module, lesson: Lesson) -> tuple[Tensor, Tensor]:
        clean, attacked = network(lesson.clean).float(), network(lesson.pixels).float()
        return loss(clean, attacked, lesson.targets, settings.beta), attacked

    return Countermeasure(attack_targets=predictions, attack_start=small_gaussian, objective=objective)


def predictions(network: FrozenNetwork, pixels: Tensor, targets: Tensor) -> Tensor:
    """The network's probabilities ``(B, classes)`` for the clean images, from which the attack moves away.

    The cross-entropy against them is KL(f(x) || f(x + e)) plus their entropy, which does not depend on e: both have the
    same gradient.
    """
    return network.logits(pixels).softmax(1)


def loss(clean: Tensor, attacked: Tensor, labels: Tensor, beta: float) -> Tensor:
    """CE(f(x), y) + beta KL(f(x) || f(x + e)), the mean over the batch; the divergence trains both passes.

    Args:
        clean: logits ``(B, classes)`` of the images, with the network in train mode.
        attacked: logits of the attacked images, from a separate pass.
        labels: ``(B,)`` int64.
        beta: weight of the divergence; 1 over the paper's lambda.
    """
    return F.cross_entropy(clean, labels) + beta * divergence(clean, attacked).mean()
