"""What a job computes, from its settings alone; its passes are the very number that its metrics will record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from unlearnable import registry
from unlearnable.compute.augment import transformed
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises.em_classwise import noise as em_classwise
from unlearnable.noises.method import problem_of
from unlearnable.stages.settings.noise import NoiseSettings
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.tools.plan.work import Amount, KernelWork, NetworkWork, Work
from unlearnable.training.accuracy import BATCH
from unlearnable.training.settings import Precision

OBJECTIVE_PASSES = {"trades": 2, "mart": 2}  # of an SGD step, by the kind of the counter-measure; 1 for all others


@dataclass(frozen=True)
class Subject:
    """A network and the images that it sees.

    Attributes:
        network: its name.
        stem: how it begins.
        shape: of an image as stored, ``(C, H, W)``.
        classes: how many there are.
        augmentation: the victim's transform.
    """

    network: str
    stem: str
    shape: tuple[int, ...]
    classes: int
    augmentation: Augmentation

    def work(self, work: Work, precision: Precision, batch: int, raw: bool = False) -> NetworkWork:
        """A kind of work on transformed images, or on those as they are stored."""
        shape = self.shape if raw else transformed(self.augmentation, self.shape)
        return NetworkWork(work, self.network, self.stem, shape, self.classes, precision, batch)


def of_source_model(config: dict[str, Any], shape: tuple[int, ...], classes: int) -> list[Amount]:
    """The training of a source model.

    Args:
        config: as ``Study.source_config`` gives it.
        shape: of an image as stored, ``(C, H, W)``.
        classes: how many there are.
    """
    training, method = config["training"], config["method"]
    module = registry.load("noises", method["algorithm"])
    steps, batch, precision = training["steps"], training["batch_size"], training["precision"]
    subject = _subject(config, training["network"], training["stem"], shape, classes)
    before = steps * module.training_passes(problem_of(SourceModelSettings.model_validate(config), classes))
    return [
        Amount(subject.work("gradient", precision, batch, _sees_raw_images(method)), before * batch, before),
        Amount(subject.work("step", precision, batch), steps * batch, steps),
    ]


def of_noise(config: dict[str, Any], shape: tuple[int, ...], classes: int, rows: int, all_rows: int) -> list[Amount]:
    """The noise of a shard.

    Args:
        config: as ``Study.noise_config`` gives it.
        shape: of an image as stored, ``(C, H, W)``.
        classes: how many there are.
        rows: images in the shard.
        all_rows: images in the training set.
    """
    method, batch, precision = config["method"], config["pass"]["batch_size"], config["pass"]["precision"]
    module = registry.load("noises", method["algorithm"])
    if method["algorithm"] == "ntga":
        block = KernelWork(shape, classes, min(batch, rows), min(method["held_out"], all_rows), method["activation"])
        return [Amount(block, rows * method["steps"])]
    if config["network"] is None:
        return []
    subject = _subject(config, config["network"], config["stem"], shape, classes)
    if method["algorithm"] == "em-classwise":  # all of it for the basis, which every shard computes
        share = min(all_rows, max(classes, round(method["share"] * all_rows)))
        images = method["k_u"] * method["rounds"] * share
        work = subject.work("gradient", precision, em_classwise.BATCH, raw=True)
        return [Amount(work, images, math.ceil(images / batch))]
    passes = module.noise_passes(problem_of(NoiseSettings.model_validate(config), classes))
    work = subject.work("gradient", precision, batch, _sees_raw_images(method))
    return [Amount(work, rows * passes, math.ceil(rows / batch) * passes)]


def of_victim(config: dict[str, Any], shape: tuple[int, ...], classes: int, train: int, test: int) -> list[Amount]:
    """The training of a victim and all that is measured on it; AutoAttack excepted, whose passes nobody counts.

    Args:
        config: as ``Study.victim_config`` gives it.
        shape: of an image as stored, ``(C, H, W)``.
        classes: how many there are.
        train: training images.
        test: test images.
    """
    training, kind = config["training"], config["countermeasure"]["kind"]
    steps, batch, precision = training["steps"], training["batch_size"], training["precision"]
    subject = _subject(config, training["network"], training["stem"], shape, classes)
    attack = steps * training["k_a"] if config["radius"] else 0
    updates = steps * OBJECTIVE_PASSES.get(kind, 1)
    attacked = min(training["robust_images"], test) * training["robust_steps"] if config["radius"] else 0
    looked_at = math.ceil(steps / training["evaluate_every"]) * test + train
    return [
        Amount(subject.work("gradient", precision, batch), attack * batch, attack),
        Amount(subject.work("step", precision, batch), updates * batch, updates),
        Amount(subject.work("gradient", precision, BATCH), attacked, math.ceil(attacked / BATCH)),
        Amount(subject.work("forward", precision, BATCH), looked_at),
    ]


def _subject(config: dict[str, Any], network: str, stem: str, shape: tuple[int, ...], classes: int) -> Subject:
    return Subject(network, stem, shape, classes, Augmentation(**config["augmentation"]))


def _sees_raw_images(method: dict[str, Any]) -> bool:
    """Whether a noise is computed on untransformed images, which differ in size where T resizes."""
    if method["algorithm"] == "em-classwise":
        return True
    return method.get("frame") == "raw" or method.get("expectation") == "identity"
