"""The recipes of all results of a study, from its settings and its code, without reading any result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from unlearnable.countermeasures.composed.settings import Composed
from unlearnable.datasets.readers.class_subset.settings import ClassSubset
from unlearnable.recipe import Recipe
from unlearnable.registry import module_name
from unlearnable.settings import plain
from unlearnable.study import products
from unlearnable.study.cells import (
    DATASET,
    NOISE,
    PERTURBED,
    RELEASE,
    SOURCE,
    VICTIM,
    Noise,
    Perturbed,
    Victim,
    cell,
    noise_of,
    path,
    perturbed_of,
)
from unlearnable.study.fingerprint import canonical, code_fingerprint
from unlearnable.study.once import once
from unlearnable.study.study import Study


@dataclass(frozen=True, eq=False)
class Planned:
    """A result of a study.

    Attributes:
        recipe: what it is made with.
        file: the JSON file that stores the recipe.
        made_from: the results that its job reads, by the names of the job's inputs.
    """

    recipe: Recipe
    file: str
    made_from: Mapping[str, Sequence[Planned]] = field(default_factory=dict)


class Recipes:
    """The results of a study and their recipes; each is computed once and shared."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def of(self, rule: str, wildcards: Mapping[str, str]) -> Planned:
        """The result of a rule's job."""
        match rule:
            case "dataset":
                return self.dataset(wildcards["dataset"])
            case "source_model":
                return self.source_model(cell(Noise, wildcards))
            case "noise":
                return self.noise(cell(Noise, wildcards), int(wildcards["shard"]), int(wildcards["shards"]))
            case "merge_noise":
                return self.merge_noise(cell(Noise, wildcards))
            case "perturbed_dataset":
                return self.perturbed_dataset(cell(Perturbed, wildcards))
            case "release":
                return self.release(wildcards["release"])
            case "victim":
                return self.victim(cell(Victim, wildcards))
            case "table":
                return self.product("tables", wildcards["experiment"], wildcards["table"])
            case "figure":
                return self.product("figures", wildcards["experiment"], wildcards["figure"])
        raise KeyError(rule)

    @once
    def dataset(self, name: str) -> Planned:
        """A dataset."""
        settings = self.study.dataset_settings(name)
        parts = [settings.of] if isinstance(settings, ClassSubset) else []
        code = _code("dataset", ("readers", settings.kind), *(("readers", part.kind) for part in parts))
        return _planned(DATASET.format(dataset=name), settings, code, "{}/manifest.json")

    @once
    def source_model(self, noise: Noise) -> Planned:
        """A source model."""
        settings = self.study.source_settings(noise)
        code = _code(
            *("source_model", ("noises", self.study.algorithm(noise.method))),
            ("networks", settings.training.network),
        )
        made_from = {"dataset": [self.dataset(noise.dataset)]}
        start = self.study.start_of(noise)
        if start is not None:
            made_from["base"] = [self.merge_noise(start)]
        return _planned(path(SOURCE, noise), settings, code, "{}/metrics.json", made_from)

    @once
    def noise(self, noise: Noise, shard: int, shards: int) -> Planned:
        """One shard of a noise; its key is that of all its shards."""
        settings, source = self.study.noise_settings(noise), self.study.source_of(noise)
        code = _code("noise", ("noises", self.study.algorithm(noise.method)), ("networks", settings.network))
        made_from = {"dataset": [self.dataset(noise.dataset)]}
        if source is not None:
            made_from["source"] = [self.source_model(source)]
        base = self.study.base_of(noise)
        if base is not None:
            made_from["base"] = [self.merge_noise(base)]
        part = f"shards/{shard}-of-{shards}"
        return _planned(path(NOISE, noise), settings, code, "{}.json", made_from, part)

    @once
    def merge_noise(self, noise: Noise) -> Planned:
        """A merged noise."""
        shards = self.study.shards(noise.dataset, noise.method)
        made_from = {
            "dataset": [self.dataset(noise.dataset)],
            "metrics": [self.noise(noise, shard, shards) for shard in range(shards)],
        }
        code = _code("merge_noise")
        return _planned(path(NOISE, noise), self.study.noise_settings(noise), code, "{}/manifest.json", made_from)

    @once
    def perturbed_dataset(self, perturbed: Perturbed) -> Planned:
        """A protected dataset."""
        made_from = {"dataset": [self.dataset(perturbed.dataset)]}
        if perturbed.method != "clean":
            made_from["noise"] = [self.merge_noise(noise_of(perturbed))]
        settings, code = self.study.perturbed_settings(perturbed), _code("perturbed_dataset")
        return _planned(path(PERTURBED, perturbed), settings, code, "{}/manifest.json", made_from)

    @once
    def release(self, name: str) -> Planned:
        """A release."""
        noise = self.study.noise_of_release(name)
        settings = self.study.release_settings(name)
        made_from = {"dataset": [self.dataset(noise.dataset)], "noise": [self.merge_noise(noise)]}
        code = _code("release", ("readers", settings.dataset.kind))
        return _planned(RELEASE.format(release=name), settings, code, "{}/manifest.json", made_from)

    @once
    def victim(self, victim: Victim) -> Planned:
        """A victim."""
        settings = self.study.victim_settings(victim)
        measure = settings.countermeasure
        parts = measure.of if isinstance(measure, Composed) else []
        code = _code(
            *("victim", ("networks", victim.network), ("countermeasures", measure.kind)),
            *(("countermeasures", part.kind) for part in parts),
        )
        made_from = {
            "perturbed": [self.perturbed_dataset(perturbed_of(victim))],
            "dataset": [self.dataset(victim.dataset)],
        }
        start = self.study.start_of_victim(victim)
        if start is not None:
            made_from["start"] = [self.victim(start)]
        return _planned(path(VICTIM, victim), settings, code, "{}/metrics.json", made_from)

    @once
    def product(self, kind: products.Kind, experiment: str, stem: str) -> Planned:
        """A table or figure."""
        product = products.by_stem(kind)[stem]
        made_from: dict[str, Sequence[Planned]] = {}
        for need in product.needs:
            made_from |= self._needed(experiment, need)
        # The cells are named by the recipes of the inputs.
        settings = products.settings(self.study, experiment, product.product)
        result = f"results/{kind}/{experiment}/{stem}"
        recipe = Recipe(result, settings, products.code(product.product), _keys(made_from))
        return Planned(recipe, f"{result}.json", made_from)

    def _needed(self, experiment: str, need: str) -> dict[str, Sequence[Planned]]:
        study = self.study
        match need:
            case "sources":
                return {need: [self.source_model(each) for each in study.sources(experiment)]}
            case "noises":
                return {need: [self.merge_noise(each) for each in study.noises(experiment)]}
            case "perturbed":
                return {need: [self.perturbed_dataset(each) for each in study.perturbed(experiment)]}
            case "victims" | "histories":
                name = need if need == "victims" else "history_metrics"
                return {name: [self.victim(each) for each in study.victims(experiment)]}
            case "images":
                shown = [self.perturbed_dataset(each) for each in products.shown(study, experiment)]
                return {"clean": [self.dataset(study.settings.experiments[experiment].datasets[0])], "shown": shown}
            case "datasets":
                return {need: [self.dataset(each) for each in study.settings.experiments[experiment].datasets]}
        return {}


def _planned(
    result: str,
    settings: BaseModel,
    code: str,
    file: str,
    made_from: Mapping[str, Sequence[Planned]] | None = None,
    part: str = "",
) -> Planned:
    recipe = Recipe(result, canonical(plain(settings)), code, _keys(made_from or {}), part)
    return Planned(recipe, file.format(recipe.where), made_from or {})


def _keys(made_from: Mapping[str, Sequence[Planned]]) -> dict[str, list[str]]:
    """The keys of inputs; the parts of one result share a key, which is listed once."""
    return {name: list(dict.fromkeys(each.recipe.key for each in planned)) for name, planned in made_from.items()}


def _code(stage: str, *named: tuple[str, str | None]) -> str:
    """The fingerprint of a stage and of the entries that it loads by name, as pairs of axis and entry."""
    return code_fingerprint(f"unlearnable.stages.{stage}", *(module_name(axis, name) for axis, name in named if name))
