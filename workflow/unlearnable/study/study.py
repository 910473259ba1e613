"""A study: the cells of its experiments, and the settings of each cell's stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unlearnable.bounds import Bound, linf
from unlearnable.datasets.settings import Dataset
from unlearnable.errors import UserError
from unlearnable.stages.settings.noise import NoisePass, NoiseSettings
from unlearnable.stages.settings.perturbed_dataset import PerturbedDatasetSettings
from unlearnable.stages.settings.release import ReleaseSettings
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.settings.victim import VictimSettings
from unlearnable.study import names
from unlearnable.study.cells import VICTIM, Noise, Perturbed, Victim, noise_of, path, perturbed_of, unique
from unlearnable.study.comparisons import comparing, comparison_faults
from unlearnable.study.faults import Fault, condensed, described, line
from unlearnable.study.layers import Layers
from unlearnable.study.misfits import Misfits
from unlearnable.study.once import once
from unlearnable.study.schema import Experiment, LayeredSettings, StudySettings


class Study:
    """A checked configuration, with its cells and stage settings.

    Each is computed once and shared.

    Args:
        config: the merged configuration.
        files: its YAML files, for error messages.
        root: base folder of relative dataset roots.

    Raises:
        UserError: the configuration has faults; one line for each.
    """

    def __init__(self, config: dict[str, Any], files: Sequence[str | Path] = (), root: str | Path = ".") -> None:
        self.root = Path(root)
        self.files = files

        faults: list[Fault] = []
        try:
            self.settings = StudySettings.model_validate(config)
        except ValidationError as error:
            faults = [described(fault) for fault in error.errors(include_url=False)]
        broken = {key[0] for key, _ in faults}
        layered = {key: config[key] for key in LayeredSettings.model_fields if key in config and key not in broken}
        self.layers = Layers(LayeredSettings.model_validate(layered))
        faults += self.layers.faults()
        if not faults:
            faults = [*names.undefined(self.settings), *names.unfit(self.settings, self.layers)]
            self._misfits = Misfits(self.settings, self.layers, self.root)
            faults += self._misfits.faults()
        if not faults:
            for name, experiment in self.settings.experiments.items():
                if comparing(experiment):
                    faults += comparison_faults(("experiments", name), experiment, self.victims(name))
        if faults:
            raise UserError("\n".join(line(key, message, files) for key, message in condensed(faults)))

    # ---- cells

    @once
    def victims(self, *experiments: str) -> list[Victim]:
        """The distinct victims of the experiments, in the order of their axes."""
        return unique([cell for name in experiments for cell in self._victims(self.settings.experiments[name])])

    def _victims(self, experiment: Experiment) -> Iterator[Victim]:
        for dataset, data in product(experiment.datasets, self._data(experiment)):
            method, rho_u, rho_a, protected = data
            for axis in experiment.victims:
                for training in product(axis.networks, axis.countermeasures, axis.radii, experiment.seed_pairs(axis)):
                    network, countermeasure, radius, (seed, own) = training
                    if method == "clean" and not protected:
                        seed = own  # no noise and no choice of images: once for each victim seed
                    yield Victim(dataset, method, rho_u, rho_a, seed, protected, network, countermeasure, radius, own)

    def _data(self, experiment: Experiment) -> list[tuple[str, int, int, int]]:
        """Method, rho_u, rho_a and share of the protected datasets; at a share of 0, all are the clean dataset."""
        found = []
        for axis in experiment.noises:
            clean = self.algorithm(axis.method) == "clean"
            for rho_u, rho_a, protected in product(axis.rho_u or [0], axis.rho_a or [0], experiment.protected):
                found.append(("clean", 0, 0, 0) if clean or not protected else (axis.method, rho_u, rho_a, protected))
        if experiment.clean_rest:
            found += [("clean", 0, 0, protected) for protected in experiment.protected if 0 < protected < 100]
        return unique(found)

    @once
    def trained(self, *experiments: str) -> list[Victim]:
        """The victims of the experiments, after those whose weights they start from."""
        cells = self.victims(*experiments)
        return unique([each for cell in cells for each in (self.start_of_victim(cell), cell) if each is not None])

    def start_of_victim(self, cell: Victim) -> Victim | None:
        """The clean victim on another dataset whose weights a victim starts from; None for a new network."""
        dataset, seed = self.layers.countermeasure(cell.countermeasure).starts_from, cell.victim_seed
        return None if dataset is None else Victim(dataset, "clean", 0, 0, seed, 0, cell.network, "none", 0, seed)

    @once
    def perturbed(self, *experiments: str) -> list[Perturbed]:
        """The protected datasets of the experiments."""
        return unique([perturbed_of(cell) for cell in self.victims(*experiments)])

    @once
    def noises(self, *experiments: str) -> list[Noise]:
        """The noises of the experiments, after those that they are made of or start from; clean data has none."""
        noises = [noise_of(cell) for cell in self.perturbed(*experiments) if cell.method != "clean"]
        return unique([each for cell in noises for each in self._with_bases(cell)])

    @once
    def release_noises(self) -> list[Noise]:
        """The noises of the releases, after those that they are made of or start from."""
        noises = [self.noise_of_release(name) for name in self.settings.releases]
        return unique([each for cell in noises for each in self._with_bases(cell)])

    def _with_bases(self, cell: Noise) -> list[Noise]:
        """A noise, after all that it is made of or starts from."""
        base = self.base_of(cell)
        return [cell] if base is None else [*self._with_bases(base), cell]

    def noise_of_release(self, name: str) -> Noise:
        """The noise of a release."""
        release = self.settings.releases[name]
        return Noise(release.dataset, release.method, release.rho_u, release.rho_a or 0, release.seed)

    def made_of(self, cell: Noise) -> Noise | None:
        """The noise of another method that a noise is made of; None for a noise of its own."""
        origin = self.layers.origin(cell.method)
        return None if origin == cell.method else replace(cell, method=origin)

    def start_of(self, cell: Noise) -> Noise | None:
        """The noise of another method that a noise and its source model start from; None for a start of their own."""
        start = self.layers.method("", cell.method).starts_from
        return None if start is None else replace(cell, method=start, rho_a=0)

    def base_of(self, cell: Noise) -> Noise | None:
        """The noise of another method that a noise is made of or starts from."""
        return self.made_of(cell) or self.start_of(cell)

    def source_of(self, cell: Noise) -> Noise | None:
        """The source model of a noise: for TAP that of clean training, which has no radii; None for some methods."""
        source = self.layers.method("", cell.method).source
        if source == "none":
            return None
        return cell if source == "own" else Noise(cell.dataset, "clean", 0, 0, cell.seed)

    @once
    def sources(self, *experiments: str) -> list[Noise]:
        """The source models of the experiments."""
        sources = [self.source_of(cell) for cell in self.noises(*experiments)]
        return unique([source for source in sources if source is not None])

    def unfilled_batches(self, cell: Noise, directory: Path) -> list[str]:
        """Why the dataset of a source model or victim cannot fill its batches, if that is known: a line or none.

        Unlike the faults of the configuration this depends on the dataset's files, and concerns only what is trained.

        Args:
            cell: a victim, or the noise of a source model.
            directory: the working directory.
        """
        if isinstance(cell, Victim):
            rest = cell.protected if cell.method == "clean" else 0
            faults = self._misfits.victim_batch(cell.dataset, cell.network, rest, directory)
        else:
            faults = self._misfits.source_batch(cell.dataset, cell.method, directory)
        return [line(key, message, self.files) for key, message in faults]

    # ---- settings of each stage

    def algorithm(self, method: str) -> str:
        """The algorithm of a method."""
        return self.layers.method("", method).algorithm

    def shards(self, dataset: str, method: str) -> int:
        """The number of jobs that share a noise."""
        return self.layers.noise_pass(dataset, method).shards

    @once
    def dataset_settings(self, dataset: str) -> Dataset:
        """Settings of the dataset stage, without augmentation, which belongs to the trainings."""
        return self.layers.dataset(dataset)

    @once
    def source_settings(self, cell: Noise) -> SourceModelSettings:
        """Settings of a source model's training."""
        return SourceModelSettings(
            training=self.layers.source_training(cell.dataset, cell.method),
            method=self.layers.method(cell.dataset, cell.method),
            augmentation=self.layers.augmentation(cell.dataset),
            rho_u=cell.rho_u,
            rho_a=cell.rho_a,
            seed=cell.seed,
        )

    @once
    def noise_settings(self, cell: Noise) -> NoiseSettings:
        """Settings of the noise pass, without the number of shards, which does not change the noise."""
        of_pass = self.layers.noise_pass(cell.dataset, cell.method)
        source = self.source_of(cell)
        network = None if source is None else self.source_settings(source).training
        return NoiseSettings(
            noise_pass=NoisePass(batch_size=of_pass.batch_size, precision=of_pass.precision),
            method=self.layers.noise_method(cell.dataset, cell.method),
            bound=self.bound(cell),
            network=None if network is None else network.network,
            stem=None if network is None else network.stem,
            augmentation=self.layers.augmentation(cell.dataset),
            rho_u=cell.rho_u,
            rho_a=cell.rho_a,
            seed=cell.seed,
        )

    def bound(self, cell: Noise) -> Bound:
        """The bound of a noise."""
        data = self.layers.dataset(cell.dataset)
        shape = (data.image_size, data.image_size, data.channels)
        origin = self.layers.origin(cell.method)
        return self.layers.noise_method(cell.dataset, origin).bound(cell.rho_u, shape)

    @once
    def perturbed_settings(self, cell: Perturbed) -> PerturbedDatasetSettings:
        """Settings of a protected dataset, with those of its noise and source model for the manifest."""
        noise = None if cell.method == "clean" else noise_of(cell)
        source = None if noise is None else self.source_of(noise)
        return PerturbedDatasetSettings(
            rows_per_parquet=self.settings.perturbed.rows_per_parquet,
            rows_per_shard=self.settings.perturbed.rows_per_shard,
            method=cell.method,
            protected=cell.protected,
            seed=cell.seed,
            bound=linf(0) if noise is None else self.bound(noise),
            dataset=self.layers.dataset(cell.dataset),
            noise=None if noise is None else self.noise_settings(noise),
            source_model=None if source is None else self.source_settings(source),
        )

    def release_settings(self, name: str) -> ReleaseSettings:
        """Settings of a release."""
        release = self.settings.releases[name]
        return ReleaseSettings(
            format=release.format,
            metadata=release.metadata,
            licence=release.licence,
            date=release.date,
            name=name,
            bound=self.bound(self.noise_of_release(name)),
            dataset=self.layers.dataset(release.dataset),
        )

    def victim_settings(self, cell: Victim) -> VictimSettings:
        """Settings of a victim's training."""
        measure, start = self.layers.countermeasure(cell.countermeasure), self.start_of_victim(cell)
        return VictimSettings(
            training=self.layers.victim_training(cell.dataset, cell.network),
            countermeasure=measure if start is None else measure.started(f"{path(VICTIM, start)}/model.safetensors"),
            augmentation=self.layers.augmentation(cell.dataset),
            radius=cell.radius,
            seed=cell.victim_seed,
        )
