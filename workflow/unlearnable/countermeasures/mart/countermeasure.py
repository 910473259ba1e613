"""MART (Wang et al., ICLR 2020)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.countermeasures._adversarial import divergence, small_gaussian
from unlearnable.countermeasures.base import Countermeasure, Lesson
from unlearnable.countermeasures.mart.settings import Mart
from unlearnable.datasets.split import Split

MARGIN = 1.0001  # instead of 1, as in the authors' code: a certain wrong prediction costs 9.2, not infinity


def build(settings: Mart, train: Split, classes: int, seed: int) -> Countermeasure:
    """Adversarial training with a margin that demands most stability of misclassified images.

    The attack ascends on the cross-entropy, from the authors' small Gaussian start. The objective returns the logits of
    the attacked images, as in plain adversarial training.
    """

    def objective(network: nn.Module, lesson: Lesson) -> tuple[Tensor, Tensor]:
        clean, attacked = network(lesson.clean).float(), network(lesson.pixels).float()
        return loss(clean, attacked, lesson.targets, settings.beta), attacked

    return Countermeasure(attack_start=small_gaussian, objective=objective)


def loss(clean: Tensor, attacked: Tensor, labels: Tensor, beta: float) -> Tensor:
    """BCE(p(x + e), y) + beta KL(p(x) || p(x + e)) (1 - p_y(x)), the mean over the batch.

    BCE is -log p_y(x + e) - log(1 - max of p_k(x + e) over k other than y). The authors' code adds 1e-12 inside its
    logarithms and 1e-7 to the weight; this code works on log-probabilities and never takes the logarithm of 0.

    Args:
        clean: logits ``(B, classes)`` of the images, with the network in train mode.
        attacked: logits of the attacked images, from a separate pass.
        labels: ``(B,)`` int64.
        beta: weight of the divergence, the paper's lambda.
    """
    own = labels[:, None]
    wrong = attacked.softmax(1).scatter(1, own, 0).amax(1)  # the likeliest wrong class
    boosted = F.cross_entropy(attacked, labels) - (MARGIN - wrong).log().mean()
    doubt = 1 - clean.softmax(1).gather(1, own)[:, 0]
    return boosted + beta * (divergence(clean, attacked) * doubt).mean()
