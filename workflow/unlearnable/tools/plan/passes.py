"""The work of a job, from its settings alone; its passes are exactly those that its metrics will record."""

from __future__ import annotations

import math

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises import cost
from unlearnable.noises.method import problem_of
from unlearnable.stages.settings.noise import NoiseSettings
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.settings.victim import VictimSettings
from unlearnable.training.accuracy import BATCH
from unlearnable.training.settings import Training
from unlearnable.training.work import Amount, Subject


def of_source_model(settings: SourceModelSettings, shape: tuple[int, ...], classes: int) -> list[Amount]:
    """The training of a source model.

    Args:
        settings: of the stage.
        shape: ``(C, H, W)`` of a stored image.
        classes: number of classes.
    """
    training = settings.training
    subject = _subject(training, settings.augmentation, shape, classes)
    return cost.of_training(problem_of(settings, classes), subject, training.steps, training.batch_size)


def of_noise(settings: NoiseSettings, shape: tuple[int, ...], classes: int, rows: int, all_rows: int) -> list[Amount]:
    """The noise of a shard.

    Args:
        settings: of the stage.
        shape: ``(C, H, W)`` of a stored image.
        classes: number of classes.
        rows: images in the shard.
        all_rows: images in the training set.
    """
    network, stem, of_pass = settings.network, settings.stem, settings.noise_pass
    subject = None
    if network is not None and stem is not None:
        subject = Subject(network, stem, shape, classes, settings.augmentation, of_pass.precision)
    problem = problem_of(settings, classes)
    return cost.of_noise(cost.Shard(problem, subject, shape, of_pass.batch_size, rows, all_rows))


def of_victim(settings: VictimSettings, shape: tuple[int, ...], classes: int, train: int, test: int) -> list[Amount]:
    """The training and evaluation of a victim, without AutoAttack, whose passes are not counted.

    Args:
        settings: of the stage.
        shape: ``(C, H, W)`` of a stored image.
        classes: number of classes.
        train: training images.
        test: test images.
    """
    training, batch = settings.training, settings.training.batch_size
    subject = _subject(training, settings.augmentation, shape, classes)
    attack = round(training.steps * settings.countermeasure.attack_passes(training.k_a)) if settings.radius else 0
    updates = training.steps * settings.countermeasure.passes
    reported = test - round(training.stopping_share * test)
    attacked = min(training.robust_images, reported) * training.robust_steps if settings.radius else 0
    looked_at = math.ceil(training.steps / training.evaluate_every) * test + train
    return [
        Amount(subject.work("gradient", batch), attack * batch, attack),
        Amount(subject.work("step", batch), updates * batch, updates),
        Amount(subject.work("gradient", BATCH), attacked, math.ceil(attacked / BATCH)),
        Amount(subject.work("forward", BATCH), looked_at),
    ]


def _subject(training: Training, augmentation: Augmentation, shape: tuple[int, ...], classes: int) -> Subject:
    return Subject(training.network, training.stem, shape, classes, augmentation, training.precision)
