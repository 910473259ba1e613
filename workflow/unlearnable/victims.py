"""Victims: networks trained on a published dataset, normally or adversarially."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unlearnable import files
from unlearnable.attacks import FrozenNetwork, ascend, uniform
from unlearnable.data.images import Split
from unlearnable.device import choose_precision, describe, peak_memory
from unlearnable.engine import prepare
from unlearnable.history import write_history
from unlearnable.measures import accuracy, robust_accuracy
from unlearnable.models import create, save
from unlearnable.resume import Loop
from unlearnable.settings.dataset import Augmentation
from unlearnable.settings.training import Victim
from unlearnable.training import fit
from unlearnable.transforms import draw


def train_victim(
    config: dict[str, Any],
    train: Split,
    test: Split,
    loop: Loop,
    device: torch.device,
    model: str | Path,
    history: str | Path,
    metrics: str | Path,
) -> None:
    """Train a victim and measure it on the clean test set (Fu et al. 2022, section 5; PGD: Madry et al. 2018).

    Args:
        config: the stage's settings, as ``Study.victim_config`` gives them.
        train: the published training images.
        test: the clean test images.
        loop: progress, checkpoints and time.
        device: where to compute.
        model: safetensors file to write.
        history: Parquet file to write, one row for every ``evaluate_every`` steps.
        metrics: JSON file to write; accuracies are shares in 0..1.
    """
    training = Victim(**config["training"])
    augmentation = Augmentation(**config["augmentation"])
    radius, seed = config["radius"], config["seed"]
    precision = choose_precision(training.precision, device)
    images, labels = train.on(device)
    test_images, test_labels = test.on(device)
    channels, size = images.shape[1:3]
    network = create(training.network, channels, len(train.classes), size, seed, device, training.stem)

    def inputs(frozen: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Tensor:
        z = draw(augmentation, len(x), draws)(x)
        if radius == 0:
            return z
        return z + ascend(frozen, z, y, radius, training.k_a, training.alpha_a, uniform(z, radius, draws))

    engine = prepare(network, tuple(images.shape[1:]), precision, training.steps * (training.k_a if radius else 0))
    rows, passes = fit(
        engine,
        images,
        labels,
        training,
        inputs,
        loop,
        seed=seed,
        stage="victim",
        row_every=training.evaluate_every,
        measure=lambda: {"test_accuracy": accuracy(network, test_images, test_labels, precision)},
    )
    best = max(rows, key=lambda row: row["test_accuracy"])
    attacked = slice(training.robust_images)
    robust, robust_passes = robust_accuracy(
        network, test_images[attacked], test_labels[attacked], radius, training.robust_steps, precision, seed
    )
    save(network, model)
    write_history(history, rows)
    files.write_json(
        metrics,
        {
            "test_accuracy": rows[-1]["test_accuracy"],
            "best_test_accuracy": best["test_accuracy"],
            "best_step": best["step"],
            "train_accuracy": accuracy(network, images, labels, precision),
            "robust_accuracy": robust,
            "robust_radius": radius,
            "passes": passes + robust_passes,
            "seconds": loop.seconds,
            "peak_memory_bytes": peak_memory(device),
            "device": describe(device),
        },
    )
    loop.done()
