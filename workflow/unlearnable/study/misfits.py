"""What jobs would refuse, hours later, known from the configuration and the number of images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from unlearnable import files, registry
from unlearnable.datasets.size import size_hint
from unlearnable.errors import UserError
from unlearnable.study.cells import DATASET
from unlearnable.study.faults import Fault
from unlearnable.study.layers import Layers
from unlearnable.study.names import group_place
from unlearnable.study.once import once
from unlearnable.study.schema import Experiment, StudySettings
from unlearnable.study.yaml_files import Key
from unlearnable.training.settings import AUTO_ATTACK_CLASSES, Training

VICTIMS = {"victims", "histories"}  # what products of trained victims need


class Rows:
    """The number of training images of datasets, as far as it is known before they are stored.

    Args:
        layers: the settings.
        root: base folder of relative dataset roots.
    """

    def __init__(self, layers: Layers, root: Path) -> None:
        self.layers = layers
        self.root = root

    def described(self, dataset: str) -> int | None:
        """The largest number of training images that the description selects; None if it selects all."""
        return self.layers.dataset(dataset).train_images

    @once
    def counted(self, dataset: str, directory: Path) -> int | None:
        """The number of training images stored in a working directory or in the dataset's files; None if unknown.

        It is the larger of the two: files may be removed after a dataset was stored, and it may be stored again after
        files were added.
        """
        known = [self._stored(dataset, directory), size_hint(self.layers.dataset(dataset), self.root).train]
        return max((rows for rows in known if rows is not None), default=None)

    @once
    def _stored(self, dataset: str, directory: Path) -> int | None:
        manifest = directory / DATASET.format(dataset=dataset) / "manifest.json"
        if not manifest.is_file():
            return None
        try:
            return int(files.read_json(manifest)["train"]["rows"])
        except UserError:  # damaged, which the jobs that read it report
            return None

    def fewer_than(self, dataset: str, wanted: int, directory: Path | None) -> int | None:
        """The number of training images if it is certainly smaller than ``wanted``.

        Args:
            dataset: its name.
            wanted: number of images.
            directory: the working directory; None to look at nothing but the description.
        """
        described = self.described(dataset)
        if described is not None and described < wanted:
            return described
        if directory is None or (self._stored(dataset, directory) or 0) >= wanted:
            return None  # without counting files, which may be many
        counted = self.counted(dataset, directory)
        return counted if counted is not None and counted < wanted else None


class Misfits:
    """The settings that do not fit their datasets.

    Args:
        settings: the configuration; undefined names are left to ``names.undefined``.
        layers: its merged settings.
        root: base folder of relative dataset roots.
    """

    def __init__(self, settings: StudySettings, layers: Layers, root: Path) -> None:
        self.settings = settings
        self.layers = layers
        self.rows = Rows(layers, root)

    def faults(self) -> Iterator[Fault]:
        """Those in the experiments to run, from the configuration alone: one for each setting and dataset."""
        s = self.settings
        for name in (name for name in s.run if name in s.experiments):
            experiment = s.experiments[name]
            for dataset in (dataset for dataset in experiment.datasets if dataset in s.datasets):
                yield from self._dataset(dataset)
                for method in (axis.method for axis in experiment.noises):
                    for each in self.layers.makers(method):
                        yield from self._noise(dataset, each)
                if any(VICTIMS & {*registry.settings("products", each).needs} for each in experiment.products):
                    yield from self._victims(("experiments", name), experiment, dataset)

    def _dataset(self, name: str) -> Iterator[Fault]:
        """A selection of images must include every class."""
        data = self.layers.dataset(name)
        for key in ("train_images", "test_images", "validation"):
            images = getattr(data, key)
            if images and images < len(data.classes):
                yield ("datasets", name, key), f"{images} image(s) cannot include all of {len(data.classes)} classes"

    def _noise(self, dataset: str, method: str) -> Iterator[Fault]:
        data, settings = self.layers.dataset(dataset), self.layers.noise_method(dataset, method)
        misfit = settings.misfit((data.image_size, data.image_size, data.channels), len(data.classes))
        if misfit is not None:
            key, message = misfit
            yield self.layers.noise_method_key(dataset, method, key), f"does not fit {dataset!r}: {message}"
        if settings.source == "none" or settings.algorithm == "clean":
            return
        trained = method if settings.source == "own" else "clean"
        training = self.layers.source_training(dataset, trained)

        def place(key: str) -> Key:
            return self.layers.source_training_key(dataset, trained, key)

        yield from self._network(dataset, training, place("network"), place("stem"), settings.on_raw_images)
        yield from self.source_batch(dataset, trained)

    def _victims(self, at: Key, experiment: Experiment, dataset: str) -> Iterator[Fault]:
        data = self.layers.dataset(dataset)
        shape, classes = (data.image_size, data.image_size, data.channels), len(data.classes)
        shares = [share for share in experiment.protected if 0 < share < 100 and experiment.clean_rest]
        for group, axis in enumerate(experiment.victims):
            of_group = group_place(at, group, experiment)
            for index, name in enumerate(axis.countermeasures):
                if name in self.settings.countermeasures:
                    misfit = self.layers.countermeasure(name).misfit(shape, classes)
                    if misfit is not None:
                        yield (*of_group, "countermeasures", index), f"{name!r} does not fit {dataset!r}: {misfit}"
            for index, network in enumerate(axis.networks):
                if network not in registry.available("networks"):
                    continue
                training = self.layers.victim_training(dataset, network)
                stem, attack, stopping = (
                    self.layers.victim_training_key(dataset, network, key)
                    for key in ("stem", "auto_attack", "stopping_share")
                )
                yield from self._network(dataset, training, (*of_group, "networks", index), stem)
                for share in (0, *shares):
                    yield from self.victim_batch(dataset, network, share)
                if training.auto_attack and classes < AUTO_ATTACK_CLASSES:
                    needs = f"AutoAttack needs {AUTO_ATTACK_CLASSES} classes or more, but {dataset!r} has {classes}"
                    yield attack, f"{needs}; set auto_attack: false"
                test = min((images for images in (data.test_images, data.validation) if images), default=None)
                if training.stopping_share and test is not None and round(training.stopping_share * test) < classes:
                    chosen = f"{round(training.stopping_share * test)} of the {test} test images of {dataset!r}"
                    yield stopping, f"{chosen} cannot include all of {classes} classes; raise it"

    def _network(self, dataset: str, training: Training, network: Key, stem: Key, raw: bool = False) -> Iterator[Fault]:
        """A network must take the transformed images and, for some noises, those as stored."""
        if training.network not in registry.available("networks"):
            return
        sides = registry.constant("networks", training.network, "SIDES")
        if sides is None:
            return
        if training.stem not in sides:
            yield stem, f"network {training.network!r} has no stem {training.stem!r}; set stem: {' or '.join(sides)}"
            return
        smallest, multiple = sides[training.stem]
        size, crop = self.layers.dataset(dataset).image_size, self.layers.augmentation(dataset).resized_crop
        seen = {"image_size": size} if crop is None else {"resized_crop": crop} | ({"image_size": size} if raw else {})
        for key, side in seen.items():
            needed = f"multiples of {multiple}" if side >= smallest else f"{smallest} or more"
            if side < smallest or side % multiple:
                takes = f"{training.network!r} with stem {training.stem} takes images whose sides are {needed} pixels"
                yield network, f"{takes}, but {dataset!r} has {key}: {side}"
                return

    @once
    def source_batch(self, dataset: str, method: str, directory: Path | None = None) -> list[Fault]:
        """A fault if the batches of a source model are larger than its dataset; ``directory`` as of ``Rows``."""
        batch = self.layers.source_training(dataset, method).batch_size
        place = self.layers.source_training_key(dataset, method, "batch_size")
        return self._batch(dataset, 0, batch, place, directory)

    @once
    def victim_batch(self, dataset: str, network: str, rest: int, directory: Path | None = None) -> list[Fault]:
        """A fault if the batches of a victim are larger than its dataset; ``directory`` as of ``Rows``.

        Args:
            dataset: name of the dataset.
            network: name of the network.
            rest: 0, or the protected share, in per cent, that leaves the clean rest on which the victim is trained.
            directory: the working directory; None to look at nothing but the configuration.
        """
        batch = self.layers.victim_training(dataset, network).batch_size
        place = self.layers.victim_training_key(dataset, network, "batch_size")
        return self._batch(dataset, rest, batch, place, directory)

    def _batch(self, dataset: str, share: int, batch: int, place: Key, directory: Path | None) -> list[Fault]:
        rows = self.rows.fewer_than(dataset, math.ceil(100 * batch / (100 - share)), directory)
        left = batch if rows is None else rows - round(rows * share / 100)
        if left >= batch:
            return []
        of = f"{dataset!r} has only {left} training images"
        of += f" that are not protected at {share} per cent (clean_rest)" * (share > 0)
        return [(place, f"batch_size is {batch}, but {of}; lower batch_size")]
