"""Accuracy under AutoAttack (Croce and Hein, ICML 2020), from the Adversarial Robustness Toolbox."""

from __future__ import annotations

import importlib.util

import numpy as np
import torch
from torch import nn

from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import Engine
from unlearnable.compute.frozen import frozen
from unlearnable.errors import UserError
from unlearnable.progress import Meter
from unlearnable.randomness import derived_seed
from unlearnable.training.accuracy import BATCH, Seen, batches
from unlearnable.training.settings import AUTO_ATTACK_CLASSES


def require_library(classes: int) -> None:
    """Make sure that AutoAttack can run.

    Raises:
        UserError: the library is not installed, or there are too few classes for the difference of logits ratio.
    """
    if importlib.util.find_spec("art") is None:
        raise UserError(
            "victim, key auto_attack: needs the adversarial-robustness-toolbox; install it by "
            "pip install 'adversarial-robustness-toolbox>=1.20', or set auto_attack: false"
        )
    if classes < AUTO_ATTACK_CLASSES:
        needs = f"needs {AUTO_ATTACK_CLASSES} classes or more, not {classes}"
        raise UserError(f"victim, key auto_attack: {needs}; set auto_attack: false")


def auto_attack_accuracy(
    engine: Engine, feed: Feed, see: Seen, radius: int, images: int, classes: int, seed: int
) -> float | None:
    """The accuracy under the library's standard L-infinity ensemble, computed in float32.

    It consists of APGD on the cross-entropy and on the difference of logits ratio, with five restarts each, DeepFool
    and Square. The authors' ensemble has APGD and FAB against nine target classes each, which the library lacks: take
    the accuracy for an upper bound. An image counts as correct if it withstands all attacks.

    Args:
        engine: the network.
        feed: images and labels.
        see: transform of the images before the attack.
        radius: of the attack, in units of 1/255.
        images: number of images to attack, from the first.
        classes: number of classes, at least 3.
        seed: of the attack's draws, which the library takes from the global generators; their state is restored.

    Returns:
        A share in 0..1; None at radius 0.
    """
    if radius == 0:
        return None
    count, at_once = min(images, len(feed)), min(engine.micro_batch, BATCH)
    from art.attacks.evasion import AutoAttack  # imported here, as it is slow to load and rarely needed
    from art.estimators.classification import PyTorchClassifier

    right, meter = 0, Meter("image", count, 1, feed.device.type)
    numpy_state = np.random.get_state()
    with (
        frozen(engine.network, torch.float32),
        torch.random.fork_rng(devices=[feed.device] if feed.device.type == "cuda" else []),
    ):
        try:
            for index, (x, y) in enumerate(batches(feed, see, count)):
                drawn = derived_seed(seed, "auto attack", index)
                torch.manual_seed(drawn)
                np.random.seed(drawn % 2**32)
                classifier = PyTorchClassifier(
                    engine.network,
                    nn.CrossEntropyLoss(),
                    tuple(x.shape[1:]),
                    classes,
                    clip_values=(0.0, 255.0),
                    device_type="gpu" if feed.device.type == "cuda" else "cpu",
                )
                attack = AutoAttack(
                    classifier, norm=np.inf, eps=float(radius), eps_step=2.0 * radius, batch_size=at_once
                )
                for part in attack.attacks:
                    part.set_params(verbose=False)
                pixels, labels = x.cpu().numpy(), y.cpu().numpy()
                attacked = attack.generate(pixels, labels)
                right += int((classifier.predict(attacked, batch_size=at_once).argmax(1) == labels).sum())
                meter.at(min((index + 1) * BATCH, count), "attacked by AutoAttack")
        finally:
            np.random.set_state(numpy_state)
    return right / count
