"""Checks that the names in a configuration exist, and that their settings are compatible."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from unlearnable import registry
from unlearnable.settings import nearest
from unlearnable.study.faults import Fault
from unlearnable.study.layers import Layers
from unlearnable.study.schema import Experiment, NoiseAxis, Release, StudySettings, VictimAxis
from unlearnable.study.yaml_files import Key


def undefined(s: StudySettings) -> list[Fault]:
    """The undefined names in a configuration."""
    networks = registry.available("networks")
    found: list[Fault | None] = []

    def check(key: Key, name: str, known: Collection[str], what: str) -> None:
        found.append(_missing(key, name, known, what))

    for index, name in enumerate(s.run):
        check(("run", index), name, s.experiments, "experiment")
    for name, release in s.releases.items():
        check(("releases", name, "dataset"), release.dataset, s.datasets, "dataset")
        check(("releases", name, "method"), release.method, s.methods, "method")
    for name, keys in s.methods.items():
        for dataset in keys.get("by_dataset", {}):
            check(("methods", name, "by_dataset", dataset), dataset, s.datasets, "dataset")
    for stage in ("source_model", "noise", "victim"):
        for place, keys in _parts(stage, getattr(s, stage)):
            for kind, known, what in (
                ("by_method", s.methods, "method"),
                ("by_network", networks, "network"),
                ("by_dataset", s.datasets, "dataset"),
            ):
                if place[-2:-1] == (kind,):
                    check(place, str(place[-1]), known, what)
            if "network" in keys:
                check((*place, "network"), keys["network"], networks, "network")
    for name, experiment in s.experiments.items():
        at: Key = ("experiments", name)
        for index, dataset in enumerate(experiment.datasets):
            check((*at, "datasets", index), dataset, s.datasets, "dataset")
        for group, axis in enumerate(experiment.victims):
            of_group = group_place(at, group, experiment)
            for index, network in enumerate(axis.networks):
                check((*of_group, "networks", index), network, networks, "network")
            for index, measure in enumerate(axis.countermeasures):
                check((*of_group, "countermeasures", index), measure, s.countermeasures, "counter-measure")
        for index, noise in enumerate(experiment.noises):
            check((*at, "noises", index, "method"), noise.method, s.methods, "noise")
    return [fault for fault in found if fault is not None]


def _missing(key: Key, name: str, known: Collection[str], what: str) -> Fault | None:
    return None if name in known else (key, f"{what} {name!r} is not defined; {nearest(str(name), list(known))}")


def _parts(stage: str, tree: Any) -> Iterator[tuple[Key, dict[str, Any]]]:
    """The places of a stage's layers, and their keys."""
    yield (stage, "default"), tree.default
    for at in ("by_method", "by_network", "by_dataset"):
        for name, keys in getattr(tree, at, {}).items():
            yield (stage, at, name), keys
            for inner, more in keys.get("by_method", {}).items() if at == "by_dataset" else ():
                yield (stage, at, name, "by_method", inner), more


def group_place(at: Key, group: int, experiment: Experiment) -> Key:
    """The place of a group of victims: a single group need not be in a list."""
    return (*at, "victims", group) if len(experiment.victims) > 1 else (*at, "victims")


def unfit(s: StudySettings, layers: Layers) -> Iterator[Fault]:
    """The incompatible settings of a configuration; undefined names are left to ``undefined``."""
    if "clean" not in s.methods or layers.method("", "clean").algorithm != "clean":
        yield ("methods",), "must define the reference, clean: {algorithm: clean}"
    if "none" not in s.countermeasures or layers.countermeasure("none").kind != "none":
        yield ("countermeasures",), "must define plain training, none: {kind: none}"
    for name in s.datasets:
        crop, size = layers.augmentation(name).resized_crop, layers.dataset(name).image_size
        if crop is not None and crop > size:
            yield (("datasets", name), f"augmentation.resized_crop: {crop} is larger than image_size: {size}")
    made_of = {name: [*_made_of(s, layers, name), *_start(s, layers, name)] for name in s.methods}
    for faults in made_of.values():
        yield from faults
    for place, _ in _parts("source_model", s.source_model):
        if "by_method" in place and place[-1] in s.methods:
            yield from _without_source(layers, place)
    for name, release in s.releases.items():
        if release.dataset in s.datasets and release.method in s.methods and not made_of[release.method]:
            yield from _release(layers, ("releases", name), release)
    for name, experiment in s.experiments.items():
        at: Key = ("experiments", name)
        for index, product in enumerate(experiment.products):
            fewest = registry.settings("products", product).fewest_datasets
            if len(experiment.datasets) < fewest:
                yield (*at, "products", index), f"{product} needs {fewest} datasets, see config/README.md"
        datasets = [dataset for dataset in experiment.datasets if dataset in s.datasets]
        for group, axis in enumerate(experiment.victims):
            for index, measure in enumerate(axis.countermeasures):
                if measure in s.countermeasures:
                    place = (*group_place(at, group, experiment), "countermeasures", index)
                    yield from _countermeasure(layers, place, measure, axis, datasets)
        for index, noise in enumerate(experiment.noises):
            if noise.method in s.methods and not made_of[noise.method]:
                yield from _radii(layers, (*at, "noises", index), noise)
                place = (*at, "noises", index, "method")
                for dataset in datasets:
                    for maker in layers.makers(noise.method):
                        yield from _frame(layers, place, dataset, maker)


def _release(layers: Layers, place: Key, release: Release) -> Iterator[Fault]:
    """A release needs the files of its images, in the frame that noise is made in, and noise within rho_u."""
    data, method = layers.dataset(release.dataset), layers.method("", layers.origin(release.method))
    if data.kind != "listed" or getattr(data, "resize", None) != "squash":
        yield (*place, "dataset"), f"{release.dataset!r} must be of the kind listed, with resize: squash"
    if "rho_u" not in method.radii:
        yield (*place, "method"), f"{release.method!r} does not keep to a radius rho_u; name one that does"
        return
    rho_a = None if release.rho_a is None else [release.rho_a]
    yield from _radii(layers, place, NoiseAxis(method=release.method, rho_u=[release.rho_u], rho_a=rho_a))
    for maker in layers.makers(release.method):
        yield from _frame(layers, (*place, "method"), release.dataset, maker)


def _made_of(s: StudySettings, layers: Layers, name: str) -> Iterator[Fault]:
    """A noise may be made of one that another method makes, the same for all datasets."""
    origin, place = layers.method("", name).made_of, ("methods", name, "of")
    if origin is None:
        return
    if origin not in s.methods:
        yield place, f"method {origin!r} is not defined; {nearest(origin, list(s.methods))}"
    elif layers.method("", origin).made_of or layers.method("", origin).algorithm == "clean":
        yield place, f"{origin!r} makes no noise of its own; name a method that does"
    for dataset in s.datasets:
        if layers.noise_method(dataset, name).made_of != origin:
            yield layers.noise_method_key(dataset, name, "of"), "must be the same for all datasets"


def _start(s: StudySettings, layers: Layers, name: str) -> Iterator[Fault]:
    """A noise may start from one that another method makes within the same rho_u, the same for all datasets."""
    start, place = layers.method("", name).starts_from, ("methods", name, "start")
    if start is not None and start not in s.methods:
        yield (*place, "noise"), f"method {start!r} is not defined; {nearest(start, list(s.methods))}"
    elif start is not None:
        other = layers.method("", start)
        if other.made_of or other.starts_from:
            yield (*place, "noise"), f"{start!r} needs the noise of another method itself; name one that does not"
        elif other.radii != ("rho_u",):
            yield (*place, "noise"), f"{start!r} does not have exactly the radius rho_u; name a method that does"
        elif getattr(layers.method("", name), "frame", "raw") == "augmented":
            yield place, "does not fit frame: augmented, because other noises are made in the frame of the raw image"
    for dataset in s.datasets:
        for found, key in (
            (layers.method(dataset, name), ("methods", name, "by_dataset", dataset, "start")),
            (layers.noise_method(dataset, name), layers.noise_method_key(dataset, name, "start")),
        ):
            if found.starts_from != start:
                yield key, "must name the same noise, or none, for all datasets and in both stages"
                break


def _without_source(layers: Layers, place: Key) -> Iterator[Fault]:
    """Settings of a method's source model that would have no effect."""
    name = str(place[-1])
    source = layers.method("", name).source
    if source != "own":
        instead = "none" if source == "none" else "that of the method clean; change it there"
        yield place, f"{name!r} has no source model of its own, but {instead}"


def _frame(layers: Layers, place: Key, dataset: str, name: str) -> Iterator[Fault]:
    """A noise that is computed on transformed images must have their size."""
    crop = layers.augmentation(dataset).resized_crop
    transformed = getattr(layers.method(dataset, name), "frame", "raw") == "augmented"
    if transformed and crop not in (None, layers.dataset(dataset).image_size):
        yield (
            place,
            f"{name!r} has frame: augmented, which does not fit {dataset!r}: its transform changes the size",
        )


def _countermeasure(layers: Layers, place: Key, name: str, axis: VictimAxis, datasets: list[str]) -> Iterator[Fault]:
    """A counter-measure must fit the victims and the images of an experiment."""
    measure = layers.countermeasure(name)
    if measure.needs_radius and 0 in axis.radii:
        yield place, f"{name!r} is a form of adversarial training: its radii must be greater than 0"
        return
    start = measure.starts_from
    if start is not None and start not in layers.settings.datasets:
        known = nearest(start, list(layers.settings.datasets))
        yield place, f"{name!r} starts from dataset {start!r}, which is not defined; {known}"
        return
    if start is not None and getattr(measure, "file", None) is not None:  # the study fills it in
        yield place, f"{name!r} names both a dataset (of) and a file to start from; leave one of them out"
        return
    for dataset in datasets:
        if start is not None and (fault := _unlike(layers, start, dataset, axis.networks)) is not None:
            yield place, f"{name!r} {fault}"
            return
        channels = layers.dataset(dataset).channels
        if channels not in measure.channels:
            yield place, f"{name!r} does not fit {dataset!r}, whose images have {channels} channel(s)"
            return


def _unlike(layers: Layers, start: str, dataset: str, networks: Sequence[str]) -> str | None:
    """Why victims of a dataset cannot start from the weights of another's; None if they can."""
    one, other = layers.dataset(start), layers.dataset(dataset)
    if start == dataset:
        return f"starts from {start!r}, which is the dataset of its victims; name another"
    if (one.image_size, one.channels) != (other.image_size, other.channels):
        shapes = [f"{each.image_size}x{each.image_size}x{each.channels}" for each in (one, other)]
        return f"starts from {start!r}, whose images are {shapes[0]}, but those of {dataset!r} are {shapes[1]}"
    for network in networks:
        own, its = (layers.victim_training(each, network).stem for each in (dataset, start))
        if own != its:
            return f"starts from {start!r}, where {network} has the stem {its}, but on {dataset!r} it has {own}"
    return None


def _radii(layers: Layers, place: Key, axis: NoiseAxis) -> Iterator[Fault]:
    """An experiment must give exactly the radii of the method."""
    needed = layers.method("", layers.origin(axis.method)).radii
    for radius in ("rho_u", "rho_a"):
        given = getattr(axis, radius) is not None
        if radius in needed and not given:
            yield (*place, radius), f"{axis.method} needs a list of radii in units of 1/255, such as [8]"
        elif given and radius not in needed:
            yield (*place, radius), f"{axis.method} has no such radius; remove this key"
