"""From layers of keys to checked settings: of datasets, methods and counter-measures, and of the stages by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from unlearnable import registry
from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.settings import Dataset
from unlearnable.noises.settings import MethodSettings
from unlearnable.settings import nearest, plain
from unlearnable.stages.settings.source_model import SourceTraining
from unlearnable.stages.settings.victim import VictimTraining
from unlearnable.study.faults import Fault, described
from unlearnable.study.once import once
from unlearnable.study.schema import Keys, LayeredSettings, ShardedPass
from unlearnable.study.yaml_files import Key

Model = TypeVar("Model")


class Layer(NamedTuple):
    """Keys, and their place in the configuration."""

    place: Key
    keys: Keys


class Faulty(Exception):
    """Merged settings have faults.

    Attributes:
        faults: each at the last layer with its key.
    """

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults = faults


def merged(validate: Callable[[Keys], Model], *layers: Layer) -> Model:
    """Settings from layers; later ones win.

    Raises:
        Faulty: they are invalid.
    """
    keys: Keys = {}
    for layer in layers:
        keys |= layer.keys
    try:
        return validate(keys)
    except ValidationError as error:
        raise Faulty([_placed(fault, layers) for fault in map(described, error.errors(include_url=False))]) from None


def _placed(fault: Fault, layers: tuple[Layer, ...]) -> Fault:
    key, message = fault
    holders = [layer for layer in layers if key and key[0] in layer.keys]
    return (*(holders or layers)[-1].place, *key), message


def entry(axis: str, *layers: Layer) -> Any:
    """The settings of an entry of the registry, from layers; the first one names the entry.

    Raises:
        Faulty: no entry is named, or the settings are invalid.
    """
    tag, known = registry.AXES[axis].tag, registry.available(axis)
    place, keys = layers[0]
    if tag not in keys:
        raise Faulty([((*place, tag), "this key is required")])
    if keys[tag] not in known:
        raise Faulty([((*place, tag), f"{keys[tag]!r} does not exist; {nearest(str(keys[tag]), known)}")])
    return merged(registry.settings(axis, keys[tag]).model_validate, *layers)


class Layers:
    """Settings from a configuration's layers; each is merged and checked once.

    Args:
        settings: the configuration.
    """

    def __init__(self, settings: LayeredSettings) -> None:
        self.settings = settings

    def faults(self) -> Iterator[Fault]:
        """The faults in all layers, whether or not an experiment uses them."""
        s = self.settings
        every: list[tuple[Callable[..., Any], list[tuple[str, ...]]]] = [
            (self.dataset, [(name,) for name in s.datasets]),
            (self.augmentation, [(name,) for name in s.datasets]),
            (self.countermeasure, [(name,) for name in s.countermeasures]),
            (self.method, [(d, m) for m, keys in s.methods.items() for d in ("", *_inner(keys, "by_dataset"))]),
            (self.source_training, [*_pairs(s.source_model.by_method, s.source_model.by_dataset)]),
            (self.noise_pass, [*_pairs(s.noise.by_method, s.noise.by_dataset)]),
            (self.noise_method, [(d, m) for d, m in _pairs(s.noise.by_method, s.noise.by_dataset) if m in s.methods]),
            (self.victim_training, [(d, n) for d in ("", *s.victim.by_dataset) for n in ("", *s.victim.by_network)]),
        ]
        for ask, places in every:
            for place in places:
                try:
                    ask(*place)
                except Faulty as error:
                    yield from error.faults

    @once
    def dataset(self, name: str) -> Dataset:
        """The description of a dataset."""
        place, keys = ("datasets", name), _without(self.settings.datasets[name], "augmentation")
        described: Dataset = entry("readers", Layer(place, self._with_whole(place, keys)))
        return described

    def _with_whole(self, place: Key, keys: Keys) -> Keys:
        """The keys of a dataset; if it is a part of another, with the settings of that one in place of its name."""
        known, name = self.settings.datasets, keys.get("of")
        if not _is_part(keys) or not isinstance(name, str):
            return keys
        if name not in known:
            raise Faulty([((*place, "of"), f"dataset {name!r} is not defined; {nearest(name, list(known))}")])
        if _is_part(known[name]):
            raise Faulty([((*place, "of"), f"{name!r} is itself a part of a dataset; name that one")])
        return keys | {"of": plain(self.dataset(name))}

    @once
    def augmentation(self, dataset: str) -> Augmentation:
        """The transform of a dataset's victims."""
        keys = self.settings.datasets[dataset].get("augmentation", {})
        return merged(Augmentation.model_validate, Layer(("datasets", dataset, "augmentation"), keys))

    @once
    def countermeasure(self, name: str) -> CountermeasureSettings:
        """The settings of a counter-measure."""
        place, keys = ("countermeasures", name), self.settings.countermeasures[name]
        found: CountermeasureSettings = entry("countermeasures", Layer(place, self._with_parts(place, keys)))
        return found

    def _with_parts(self, place: Key, keys: Keys) -> Keys:
        """The keys of a counter-measure; if it is composed, with the settings of its parts in place of their names."""
        known, names = self.settings.countermeasures, keys.get("of")
        if not _is_composed(keys) or not isinstance(names, list):
            return keys
        faults: list[Fault] = []
        for index, name in enumerate(names):
            if not isinstance(name, str) or name not in known:
                said = f"counter-measure {name!r} is not defined; {nearest(str(name), list(known))}"
                faults.append(((*place, "of", index), said))
            elif _is_composed(known[name]):
                faults.append(((*place, "of", index), f"{name!r} is composed itself; name its parts"))
        if faults:
            raise Faulty(faults)
        return keys | {"of": [plain(self.countermeasure(name)) for name in names]}

    @once
    def method(self, dataset: str, method: str) -> MethodSettings:
        """The settings of a method on a dataset; with an empty name, on any dataset."""
        found: MethodSettings = entry("noises", *self._method_layers(dataset, method))
        return found

    def origin(self, method: str) -> str:
        """The method that makes a method's noise, and whose radii and bound it has: itself, or what it is made of."""
        return self.method("", method).made_of or method

    def makers(self, method: str) -> list[str]:
        """The defined methods that a noise takes: its own, after those whose noise it is made of or starts from."""
        found: list[str] = []
        each: str | None = method
        while each in self.settings.methods and each not in found:  # names.unfit refuses circles
            found.insert(0, each)
            each = self.method("", each).made_of or self.method("", each).starts_from
        return found

    def _method_layers(self, dataset: str, method: str) -> list[Layer]:
        keys, place = self.settings.methods[method], ("methods", method)
        change = _inner(keys, "by_dataset").get(dataset, {})
        return [Layer(place, _without(keys, "by_dataset")), Layer((*place, "by_dataset", dataset), change)]

    @once
    def source_training(self, dataset: str, method: str) -> SourceTraining:
        """Settings of training a method's source model on a dataset; empty names leave a layer out."""
        return merged(SourceTraining.model_validate, *self._by_method("source_model", dataset, method))

    @once
    def noise_pass(self, dataset: str, method: str) -> ShardedPass:
        """Settings of a method's noise pass on a dataset, without the method's own keys."""
        return merged(ShardedPass.model_validate, *(_only(layer, True) for layer in self._noise(dataset, method)))

    @once
    def noise_method(self, dataset: str, method: str) -> MethodSettings:
        """The settings of a method in the noise pass, which may differ from those in source training."""
        changes = [_only(layer, False) for layer in self._noise(dataset, method)]
        known = set(type(self.method(dataset, method)).model_fields)
        unknown = [(place, key) for place, keys in changes for key in keys if key not in known]
        if unknown:
            algorithm = self.settings.methods[method][registry.AXES["noises"].tag]
            said = f"the method {method!r} ({algorithm}) has no such key"
            raise Faulty([((*place, key), f"{said}; {nearest(str(key), sorted(known))}") for place, key in unknown])
        found: MethodSettings = entry("noises", *self._method_layers(dataset, method), *changes)
        return found

    def noise_method_key(self, dataset: str, method: str, key: str) -> Key:
        """The place of a key of ``noise_method``."""
        changes = [_only(layer, False) for layer in self._noise(dataset, method)]
        return _placed(((key,), ""), (*self._method_layers(dataset, method), *changes))[0]

    def source_training_key(self, dataset: str, method: str, key: str) -> Key:
        """The place of a key of ``source_training``."""
        return _placed(((key,), ""), tuple(self._by_method("source_model", dataset, method)))[0]

    def victim_training_key(self, dataset: str, network: str, key: str) -> Key:
        """The place of a key of ``victim_training``."""
        return _placed(((key,), ""), tuple(self._victim(dataset, network)))[0]

    def _noise(self, dataset: str, method: str) -> list[Layer]:
        return self._by_method("noise", dataset, method)

    def _by_method(self, stage: str, dataset: str, method: str) -> list[Layer]:
        tree = getattr(self.settings, stage)
        of_dataset, at = tree.by_dataset.get(dataset, {}), (stage, "by_dataset", dataset)
        inner = _inner(of_dataset, "by_method").get(method, {})
        return [
            Layer((stage, "default"), tree.default),
            Layer((stage, "by_method", method), tree.by_method.get(method, {})),
            Layer(at, _without(of_dataset, "by_method")),
            Layer((*at, "by_method", method), inner),
        ]

    @once
    def victim_training(self, dataset: str, network: str) -> VictimTraining:
        """Settings of training a network as a victim on a dataset; empty names leave a layer out."""
        return merged(VictimTraining.model_validate, *self._victim(dataset, network))

    def _victim(self, dataset: str, network: str) -> list[Layer]:
        tree = self.settings.victim
        named: Keys = {"network": network} if network else {}
        return [
            Layer(("victim", "default"), tree.default),
            Layer(("victim", "by_dataset", dataset), tree.by_dataset.get(dataset, {})),
            Layer(("victim", "by_network", network), tree.by_network.get(network, {}) | named),
        ]


def _pairs(by_method: dict[str, Keys], by_dataset: dict[str, Keys]) -> Iterator[tuple[str, str]]:
    """Datasets and methods whose settings together use every layer."""
    yield from (("", method) for method in ("", *by_method))
    for dataset, keys in by_dataset.items():
        yield from ((dataset, method) for method in ("", *_inner(keys, "by_method")))


def _is_composed(keys: Keys) -> bool:
    return keys.get(registry.AXES["countermeasures"].tag) == "composed"


def _is_part(keys: Keys) -> bool:
    return keys.get(registry.AXES["readers"].tag) == "class-subset"


def _inner(keys: Keys, name: str) -> dict[str, Keys]:
    """The layers inside a layer."""
    inner: dict[str, Keys] = keys.get(name, {})
    return inner


def _without(keys: Keys, name: str) -> Keys:
    return {key: value for key, value in keys.items() if key != name}


def _only(layer: Layer, of_pass: bool) -> Layer:
    """The keys of a noise layer that belong to the pass, or to the method; only layers by method have the latter."""
    own = set(ShardedPass.model_fields)
    by_method = "by_method" in layer.place
    return Layer(layer.place, {key: v for key, v in layer.keys.items() if (key in own or not by_method) == of_pass})
