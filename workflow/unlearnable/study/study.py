"""From settings to the cells of a study: which files there are, and what each of them depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from unlearnable import registry
from unlearnable.bounds import Bound, linf
from unlearnable.errors import UserError
from unlearnable.settings import nearest
from unlearnable.study import faults as configuration
from unlearnable.study.cells import Noise, Perturbed, Victim, noise_of, perturbed_of, unique
from unlearnable.study.faults import Key
from unlearnable.study.fingerprint import canonical
from unlearnable.study.once import once
from unlearnable.study.schema import Experiment, NoiseAxis, ShardedPass, VictimAxis


class Study:
    """A checked configuration, and the cells and stage settings that follow from it.

    What it gives out is computed once and shared: read it, and change nothing in it.

    Args:
        config: the merged configuration.
        files: the YAML files it came from, for error messages.
        root: the folder that relative dataset roots start at.

    Raises:
        UserError: the configuration has faults; one line for each.
    """

    def __init__(self, config: dict[str, Any], files: Sequence[str | Path] = (), root: str | Path = ".") -> None:
        self.files = files
        self.root = Path(root)
        self.settings = configuration.check(config, files)
        faults = [configuration.fault(key, message, files) for key, message in self._dangling_names()]
        if faults:
            raise UserError("\n".join(unique(faults)))

    # ---- names that must exist

    def _dangling_names(self) -> Iterator[tuple[Key, str]]:
        s = self.settings

        def missing(name: str, known: Any, what: str) -> str | None:
            return None if name in known else f"{what} {name!r} is not defined; {nearest(name, list(known))}"

        checks: list[tuple[Key, str | None]] = []
        for index, name in enumerate(s.run):
            checks.append((("run", index), missing(name, s.experiments, "experiment")))
        if getattr(s.methods.get("clean"), "algorithm", None) != "clean":
            checks.append((("methods",), "must define the reference, clean: {algorithm: clean}"))
        if getattr(s.countermeasures.get("none"), "kind", None) != "none":
            checks.append((("countermeasures",), "must define plain training, none: {kind: none}"))
        for name, method in s.methods.items():
            for dataset in getattr(method, "by_dataset", {}):
                checks.append((("methods", name, "by_dataset", dataset), missing(dataset, s.datasets, "dataset")))
        networks = registry.available("networks")
        for stage in ("source_model", "noise", "victim"):
            tree = getattr(s, stage)
            parts: list[tuple[Key, Any]] = [((stage, "default"), tree.default)]
            for name, change in getattr(tree, "by_method", {}).items():
                parts.append(((stage, "by_method", name), change))
            for name, change in getattr(tree, "by_network", {}).items():
                parts.append(((stage, "by_network", name), change))
                checks.append((parts[-1][0], missing(name, networks, "network")))
            for dataset, change in tree.by_dataset.items():
                parts.append(((stage, "by_dataset", dataset), change))
                checks.append((parts[-1][0], missing(dataset, s.datasets, "dataset")))
                for name, inner in getattr(change, "by_method", {}).items():
                    parts.append(((stage, "by_dataset", dataset, "by_method", name), inner))
            for key, part in parts:
                if "by_method" in key:
                    unknown = missing(str(key[-1]), s.methods, "method")
                    checks.append((key, unknown or (self._without_source(key) if stage == "source_model" else None)))
                if getattr(part, "network", None) is not None:
                    checks.append(((*key, "network"), missing(part.network, networks, "network")))
        for name, experiment in s.experiments.items():
            at: Key = ("experiments", name)
            for index, dataset in enumerate(experiment.datasets):
                checks.append(((*at, "datasets", index), missing(dataset, s.datasets, "dataset")))
            for group, axis in enumerate(experiment.victims):
                place = self._group(at, group, experiment)
                for index, network in enumerate(axis.networks):
                    checks.append(((*place, "networks", index), missing(network, networks, "network")))
                for index, name in enumerate(axis.countermeasures):
                    unknown = missing(name, s.countermeasures, "counter-measure")
                    checks.append(((*place, "countermeasures", index), unknown))
                    if unknown is None:
                        checks.append(((*place, "countermeasures", index), self._unfit(name, axis, experiment)))
            for index, noise in enumerate(experiment.noises):
                place = (*at, "noises", index)
                unknown = missing(noise.method, s.methods, "noise")
                checks.append(((*place, "method"), unknown))
                if unknown is None:
                    checks.extend(self._radii(place, noise))
                    for dataset in filter(s.datasets.__contains__, experiment.datasets):
                        checks.extend(self._frames((*place, "method"), dataset, noise.method))
        yield from ((key, message) for key, message in checks if message is not None)
        if not any(message for _, message in checks):
            yield from self._unfit_overrides()

    def _without_source(self, key: Key) -> str | None:
        """Why settings of a method's source model would do nothing, if they would."""
        method = self.settings.methods[str(key[-1])]
        if method.source == "own":
            return None
        instead = "none" if method.source == "none" else "that of the method clean; change it there"
        return f"{key[-1]!r} has no source model of its own, but {instead}"

    def _frames(self, place: Key, dataset: str, method: str) -> Iterator[tuple[Key, str | None]]:
        """Whether a noise that is computed on transformed images has their size."""
        data, keys = self.settings.datasets[dataset], self._method(dataset, method)
        crop = data.augmentation.resized_crop
        if keys.get("frame") == "augmented" and crop not in (None, data.image_size):
            yield (
                place,
                f"{method!r} has frame: augmented, which does not fit {dataset!r}: its transform changes the size",
            )

    def _group(self, at: Key, group: int, experiment: Experiment) -> Key:
        """Where a group of victims stands: a lone group need not be in a list."""
        return (*at, "victims", group) if len(experiment.victims) > 1 else (*at, "victims")

    def _unfit(self, name: str, axis: VictimAxis, experiment: Experiment) -> str | None:
        """Why a counter-measure cannot be applied to some victims of an experiment, if it cannot."""
        kind = self.settings.countermeasures[name]
        if kind.needs_radius and 0 in axis.radii:
            return f"{name!r} is a way of adversarial training: its radii must be greater than 0"
        for dataset in experiment.datasets:
            described = self.settings.datasets.get(dataset)
            if described is not None and described.channels not in kind.channels:
                return f"{name!r} does not fit {dataset!r}, whose images have {described.channels} channel(s)"
        return None

    def _radii(self, place: Key, axis: NoiseAxis) -> Iterator[tuple[Key, str | None]]:
        """Exactly the radii that the method has."""
        needed = self.settings.methods[axis.method].radii
        for radius in ("rho_u", "rho_a"):
            given = getattr(axis, radius) is not None
            if radius in needed and not given:
                yield (*place, radius), f"{axis.method} needs a list of radii in units of 1/255, such as [8]"
            elif given and radius not in needed:
                yield (*place, radius), f"{axis.method} has no such radius; remove this key"

    def _unfit_overrides(self) -> Iterator[tuple[Key, str]]:
        """Keys of the noise pass that the method at hand does not have."""
        experiments = self.settings.experiments.values()
        pairs = [(data, axis.method) for e in experiments for data in e.datasets for axis in e.noises]
        for dataset, method in unique(pairs):
            algorithm, keys = self._noise_changes(dataset, method)
            fields = set(type(self.settings.methods[method]).model_fields) - {"algorithm", "by_dataset"}
            for key, change in keys:
                for name in change:
                    if name not in fields | set(ShardedPass.model_fields):
                        hint = nearest(name, sorted(fields))
                        yield (*key, name), f"the method {method!r} ({algorithm}) has no such key; {hint}"

    # ---- cells

    @once
    def victims(self, *experiments: str) -> list[Victim]:
        """The victims of the experiments, without repetition, in the order of their axes."""
        return unique([cell for name in experiments for cell in self._victims(self.settings.experiments[name])])

    def _victims(self, experiment: Experiment) -> Iterator[Victim]:
        for dataset, data in product(experiment.datasets, self._data(experiment)):
            method, rho_u, rho_a, protected = data
            for axis in experiment.victims:
                for training in product(axis.networks, axis.countermeasures, axis.radii, experiment.seeds):
                    network, countermeasure, radius, seed = training
                    yield Victim(dataset, method, rho_u, rho_a, seed, protected, network, countermeasure, radius)

    def _data(self, experiment: Experiment) -> list[tuple[str, int, int, int]]:
        """Method, rho_u, rho_a and share of the published datasets; with nothing protected, all are the clean one."""
        found = []
        for axis in experiment.noises:
            clean = self.settings.methods[axis.method].algorithm == "clean"
            for rho_u, rho_a, protected in product(axis.rho_u or [0], axis.rho_a or [0], experiment.protected):
                found.append(("clean", 0, 0, 0) if clean or not protected else (axis.method, rho_u, rho_a, protected))
        if experiment.clean_rest:
            found += [("clean", 0, 0, protected) for protected in experiment.protected if 0 < protected < 100]
        return unique(found)

    @once
    def perturbed(self, *experiments: str) -> list[Perturbed]:
        """The published datasets of the experiments."""
        return unique([perturbed_of(cell) for cell in self.victims(*experiments)])

    @once
    def noises(self, *experiments: str) -> list[Noise]:
        """The noises of the experiments; clean data have none."""
        return unique([noise_of(cell) for cell in self.perturbed(*experiments) if cell.method != "clean"])

    def source_of(self, cell: Noise) -> Noise | None:
        """The source model of a noise: for TAP the clean training, which no radius enters; for some there is none."""
        source = self.settings.methods[cell.method].source
        if source == "none":
            return None
        return cell if source == "own" else Noise(cell.dataset, "clean", 0, 0, cell.seed)

    @once
    def sources(self, *experiments: str) -> list[Noise]:
        """The source models of the experiments."""
        sources = [self.source_of(cell) for cell in self.noises(*experiments)]
        return unique([source for source in sources if source is not None])

    # ---- settings of each stage, as canonical dicts

    def algorithm(self, method: str) -> str:
        """The algorithm of a method."""
        return self.settings.methods[method].algorithm

    @once
    def dataset_config(self, dataset: str) -> dict[str, Any]:
        """Settings of the dataset stage; augmentation is not among them, it belongs to the trainings."""
        config = self.settings.datasets[dataset].model_dump(exclude={"augmentation"})
        return canonical(config)  # type: ignore[no-any-return]

    @once
    def _augmentation(self, dataset: str) -> dict[str, Any]:
        return self.settings.datasets[dataset].augmentation.model_dump()

    @once
    def _method(self, dataset: str, method: str) -> dict[str, Any]:
        entry = self.settings.methods[method]
        changes = getattr(entry, "by_dataset", {}).get(dataset)
        return entry.model_dump(exclude={"by_dataset"}) | _set_keys(changes)

    @once
    def _source_training(self, dataset: str, method: str) -> dict[str, Any]:
        tree = self.settings.source_model
        for_dataset = tree.by_dataset.get(dataset)
        inner = (getattr(for_dataset, "by_method", None) or {}).get(method)
        changes = _set_keys(tree.by_method.get(method)) | _set_keys(for_dataset) | _set_keys(inner)
        return tree.default.model_dump() | changes

    @once
    def source_config(self, cell: Noise) -> dict[str, Any]:
        """Settings of a source model's training."""
        return canonical(  # type: ignore[no-any-return]
            {
                "training": self._source_training(cell.dataset, cell.method),
                "method": self._method(cell.dataset, cell.method),
                "augmentation": self._augmentation(cell.dataset),
                "rho_u": cell.rho_u,
                "rho_a": cell.rho_a,
                "seed": cell.seed,
            }
        )

    def _noise_changes(self, dataset: str, method: str) -> tuple[str, list[tuple[tuple[str, ...], dict[str, Any]]]]:
        tree = self.settings.noise
        for_dataset = tree.by_dataset.get(dataset)
        inner = (getattr(for_dataset, "by_method", None) or {}).get(method)
        changes = [
            (("noise", "by_method", method), _set_keys(tree.by_method.get(method))),
            (("noise", "by_dataset", dataset), _set_keys(for_dataset)),
            (("noise", "by_dataset", dataset, "by_method", method), _set_keys(inner)),
        ]
        return self.algorithm(method), changes

    @once
    def _noise_settings(self, dataset: str, method: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The pass's own settings and the method's, with the pass's changes to both."""
        merged: dict[str, Any] = {}
        for _, change in self._noise_changes(dataset, method)[1]:
            merged |= change
        own = set(ShardedPass.model_fields)
        of_pass = self.settings.noise.default.model_dump() | {k: v for k, v in merged.items() if k in own}
        of_method = self._method(dataset, method) | {k: v for k, v in merged.items() if k not in own}
        return of_pass, of_method

    def shards(self, dataset: str, method: str) -> int:
        """The number of jobs that share a noise."""
        return int(self._noise_settings(dataset, method)[0]["shards"])

    @once
    def noise_config(self, cell: Noise) -> dict[str, Any]:
        """Settings of the noise pass. The shard count is not among them: it does not change the noise."""
        of_pass, of_method = self._noise_settings(cell.dataset, cell.method)
        source = self.source_of(cell)
        network = None if source is None else self.source_config(source)["training"]
        return canonical(  # type: ignore[no-any-return]
            {
                "pass": {k: v for k, v in of_pass.items() if k != "shards"},
                "method": of_method,
                "bound": self.bound(cell).plain(),
                "network": None if network is None else network["network"],
                "stem": None if network is None else network["stem"],
                "augmentation": self._augmentation(cell.dataset),
                "rho_u": cell.rho_u,
                "rho_a": cell.rho_a,
                "seed": cell.seed,
            }
        )

    def bound(self, cell: Noise) -> Bound:
        """How far a noise may go."""
        data = self.settings.datasets[cell.dataset]
        shape = (data.image_size, data.image_size, data.channels)
        keys = self._noise_settings(cell.dataset, cell.method)[1]
        method = type(self.settings.methods[cell.method]).model_validate(keys)
        return method.bound(cell.rho_u, shape)

    @once
    def perturbed_config(self, cell: Perturbed) -> dict[str, Any]:
        """Settings of a published dataset, with those of its noise and source model for the manifest."""
        config: dict[str, Any] = self.settings.perturbed.model_dump()
        config |= {"method": cell.method, "protected": cell.protected, "seed": cell.seed}
        config |= {"bound": linf(0).plain(), "dataset": self.dataset_config(cell.dataset)}
        config |= {"noise": None, "source_model": None}
        if cell.method != "clean":
            noise = noise_of(cell)
            source = self.source_of(noise)
            config |= {"bound": self.bound(noise).plain(), "noise": self.noise_config(noise)}
            config |= {"source_model": None if source is None else self.source_config(source)}
        return canonical(config)  # type: ignore[no-any-return]

    def victim_config(self, cell: Victim) -> dict[str, Any]:
        """Settings of a victim's training."""
        training = {
            "training": self._victim_training(cell.dataset, cell.network),
            "countermeasure": self._countermeasure(cell.countermeasure),
            "augmentation": self._augmentation(cell.dataset),
            "radius": cell.radius,
            "seed": cell.seed,
        }
        return canonical(training)  # type: ignore[no-any-return]

    @once
    def _victim_training(self, dataset: str, network: str) -> dict[str, Any]:
        tree = self.settings.victim
        changes = _set_keys(tree.by_dataset.get(dataset)) | _set_keys(tree.by_network.get(network))
        return tree.default.model_dump() | changes | {"network": network}

    @once
    def _countermeasure(self, name: str) -> dict[str, Any]:
        return self.settings.countermeasures[name].model_dump()


def _set_keys(settings: BaseModel | None) -> dict[str, Any]:
    return settings.model_dump(exclude_unset=True, exclude={"by_method"}) if settings is not None else {}
