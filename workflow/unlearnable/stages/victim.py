"""The victim stage: train a network on a protected dataset, with or without adversarial training or counter-measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from unlearnable import arrays, files, registry
from unlearnable.compute.augment import draw, evaluation, transformed
from unlearnable.compute.device import choose_precision, describe, peak_memory
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import choose_engine
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import ascend, uniform
from unlearnable.countermeasures._victims import VictimMeasure
from unlearnable.countermeasures.base import Countermeasure, Lesson
from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import chunk_rows
from unlearnable.networks.build import create, save_weights
from unlearnable.progress import passing
from unlearnable.randomness import derived_seed
from unlearnable.recipe import BY_HAND, Made
from unlearnable.stages.settings.victim import VictimSettings, VictimTraining
from unlearnable.training.accuracy import accuracy, robust_accuracy
from unlearnable.training.auto_attack import auto_attack_accuracy, require_library
from unlearnable.training.fit import Inputs, fit, write_history
from unlearnable.training.loop import Loop
from unlearnable.training.stopping import stopped_row, without_stopping_images


def train_victim(
    settings: VictimSettings,
    train: Split,
    test: Split,
    loop: Loop,
    device: torch.device,
    model: str | Path,
    history: str | Path,
    metrics: str | Path,
    *,
    made: Made = BY_HAND,
) -> None:
    """Train a victim and measure it on the clean test set (Fu et al. 2022, section 5; PGD: Madry et al. 2018).

    Args:
        settings: of the victim.
        train: the training images of the protected dataset.
        test: the clean test images; a share of them may be left out of all accuracies to choose a step.
        loop: progress, checkpoints and time.
        device: where to compute.
        model: safetensors file to write.
        history: Parquet file to write, one row per ``evaluate_every`` steps.
        metrics: JSON file to write; accuracies are shares in 0..1; AutoAttack's passes are not counted.
        made: what the victim is made with.

    Raises:
        UserError: the counter-measure or the augmentation does not support the images, AutoAttack is requested but not
            installed, or there are too few test images for the share that chooses a step.
    """
    training, augmentation = settings.training, settings.augmentation
    radius, seed, classes = settings.radius, settings.seed, len(train.classes)
    if training.auto_attack:
        require_library(classes)  # before the training rather than after it
    measure = countermeasure(settings.countermeasure, train, classes, seed)
    own = measure if isinstance(measure, VictimMeasure) else VictimMeasure()
    test = changed(test, own.test_images, Path(model), "tests")
    reported, stopping = without_stopping_images(test, training.stopping_share)
    feed, tests = Feed(changed(train, measure.images, Path(model), "images"), device), Feed(reported, device)
    measured = {"test_accuracy": tests}
    if stopping is not None:
        measured["stopping_accuracy"] = Feed(stopping, device)
    shape = transformed(augmentation, feed.shape)
    weights = derived_seed(seed, "victim")  # otherwise it would start from its source model's initial weights
    kind = training.network, shape[0], classes, shape[1]
    network = create(*kind, weights, device, training.stem, training.initialisation)
    if own.prepare is not None:
        own.prepare(network)
    passes_of_attacks = round(training.steps * settings.countermeasure.attack_passes(training.k_a)) if radius else 0
    engine = choose_engine(network, shape, choose_precision(training.precision, device), passes_of_attacks)
    see = evaluation(augmentation)
    rows, passes = fit(
        engine,
        feed,
        training,
        lessons(augmentation, measure, radius, training),
        loop,
        shape=shape,
        seed=seed,
        stage="victim",
        row_every=training.evaluate_every,
        objective=measure.objective,
        objective_passes=settings.countermeasure.passes,
        measure=lambda: {name: accuracy(engine, images, see) for name, images in measured.items()},
    )
    best = max(rows, key=lambda row: row["test_accuracy"])
    stopped = {} if stopping is None else stopped_row(rows)
    train_accuracy = accuracy(engine, feed, see)
    images = training.robust_images
    robust, robust_passes = robust_accuracy(engine, tests, see, radius, training.robust_steps, images, seed)
    automatic = (
        auto_attack_accuracy(engine, tests, see, radius, images, classes, seed) if training.auto_attack else None
    )
    save_weights(network, model)
    write_history(history, rows)
    files.write_json(
        metrics,
        {
            "test_accuracy": rows[-1]["test_accuracy"],
            "best_test_accuracy": best["test_accuracy"],
            "best_step": best["step"],
            "stopped_test_accuracy": stopped.get("test_accuracy"),
            "stopped_step": stopped.get("step"),
            "test_images": len(tests),
            "stopping_images": 0 if stopping is None else len(stopping.labels),
            "train_accuracy": train_accuracy,
            "robust_accuracy": robust,
            "robust_radius": radius,
            "auto_attack_accuracy": automatic,
            "training_passes": passes,
            "passes": passes + robust_passes,
            "seconds": loop.seconds,
            "peak_memory_bytes": peak_memory(device),
            "device": describe(device),
            files.HASHES: files.hashes(model, history),
            **made,
        },
    )
    loop.done()


def countermeasure(settings: CountermeasureSettings, train: Split, classes: int, seed: int) -> Countermeasure:
    """The counter-measure of a victim's trainer.

    Args:
        settings: of the counter-measure.
        train: the training images of the protected dataset.
        classes: number of classes.
        seed: of its random draws.
    """
    built: Countermeasure = registry.load_module("countermeasures", settings.kind).build(settings, train, classes, seed)
    return built


def lessons(augmentation: Augmentation, measure: Countermeasure, radius: int, training: VictimTraining) -> Inputs:
    """A function for the lesson of one step: images, augmented, changed by the counter-measure, and attacked.

    Args:
        augmentation: of the training images.
        measure: the counter-measure.
        radius: of the attack, in units of 1/255; 0 for none.
        training: steps of the attack and their size.
    """

    def inputs(frozen: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
        clean, targets = draw(augmentation, x, draws)(x), y
        if measure.batch is not None:
            clean, targets = measure.batch(clean, y, draws)
        if radius == 0:
            return Lesson(clean, targets, clean)
        aims = targets if measure.attack_targets is None else measure.attack_targets(frozen, clean, targets)
        if isinstance(measure, VictimMeasure) and measure.attack is not None:
            e = measure.attack(frozen, clean, aims, radius, draws)
        else:
            start = (measure.attack_start or uniform)(clean, radius, draws)
            e = ascend(frozen, clean, aims, radius, training.k_a, training.alpha_a, start)
        return Lesson(clean + e, targets, clean)

    return inputs


def changed(split: Split, change: Callable[[Array], Array] | None, model: Path, name: str) -> Split:
    """The images as a counter-measure changes them once; those of ``split`` if it does not.

    They are in a hidden file beside ``model``, which is unlinked as soon as it is written and mapped: the system
    removes it when its last reader ends, however the job ends. A resumed job creates it again.

    Raises:
        UserError: the counter-measure does not support the images, or the disk is full.
    """
    if change is None:
        return split
    path = model.with_name(f".{model.stem}.{name}.npy")
    write_changed(path, split, change)
    images = arrays.map_array(path)
    path.unlink()
    return Split(images, split.labels, split.classes)


def write_changed(path: Path, split: Split, change: Callable[[Array], Array]) -> None:
    """Write the changed images as ``.npy``, piece by piece."""
    count, step = len(split.labels), chunk_rows(split.images.shape[1:])
    with arrays.stream_array(path, split.images.shape, "uint8") as file:
        pieces = (split.images[start : start + step] for start in range(0, count, step))
        for piece in passing(pieces, count, "through the counter-measure"):
            file.write(change(piece))
