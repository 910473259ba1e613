"""The tables and figures of a study: their names, inputs and dependencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from unlearnable import registry
from unlearnable.files import digest, sha256
from unlearnable.products import reported
from unlearnable.products.product import VictimBudget
from unlearnable.products.settings import Need, ProductSettings
from unlearnable.settings import plain
from unlearnable.study.cells import (
    DATASET,
    NOISE,
    PERTURBED,
    SOURCE,
    VICTIM,
    Noise,
    Perturbed,
    Victim,
    path,
    unique,
)
from unlearnable.study.comparisons import comparisons
from unlearnable.study.fingerprint import canonical, code_fingerprint, uses
from unlearnable.study.study import Study

Kind = Literal["tables", "figures"]


@cache
def by_stem(kind: Kind) -> dict[str, type[ProductSettings]]:
    """All tables or all figures, by the name of their files."""
    every = [registry.settings("products", name) for name in registry.available("products")]
    return {product.stem: product for product in every if product.kind == kind}


def targets(study: Study, kind: Kind, suffix: str) -> list[str]:
    """One file of every table or figure listed in the experiments to run."""
    return [
        f"results/{kind}/{name}/{stem}.{suffix}"
        for stem, product in by_stem(kind).items()
        for name in study.settings.run
        if product.product in study.settings.experiments[name].products
    ]


def config(study: Study, experiment: str, product: str) -> dict[str, Any]:
    """The input of a product: plain values of ``unlearnable.products.product.Given``."""
    cells = _cells(study, experiment, product)
    given = settings(study, experiment, product) | {
        kind: [cell and vars(cell) for cell in of_kind] for kind, of_kind in cells.items()
    }
    if "measured" in registry.settings("products", product).needs:
        given["measured"] = _measured(study, experiment)
    return canonical(given)  # type: ignore[no-any-return]


@cache
def settings(study: Study, experiment: str, product: str) -> dict[str, Any]:
    """The input of a product without its cells: its style, and what the cells' methods and counter-measures are."""
    every = [cell for of_kind in _cells(study, experiment, product).values() for cell in of_kind if cell is not None]
    methods: dict[str, dict[str, Any]] = {}
    for cell in every:
        of_dataset = methods.setdefault(cell.dataset, {})
        if cell.method not in of_dataset:
            of_dataset[cell.method] = _as_run(study, cell)
    victims = [cell for cell in every if isinstance(cell, Victim)]
    measures = {cell.countermeasure for cell in victims}
    budgets: dict[str, dict[str, Any]] = {}
    for dataset, network in unique([(cell.dataset, cell.network) for cell in victims]):
        training = study.layers.victim_training(dataset, network)
        budgets.setdefault(dataset, {})[network] = training.model_dump(include=set(VictimBudget.model_fields))
    given = {
        "product": product,
        "experiment": experiment,
        "style": getattr(study.settings.render, product.replace("-", "_")).model_dump(),
        "methods": methods,
        "countermeasures": {name: study.layers.countermeasure(name).kind for name in measures},
        "classes": {dataset: len(study.layers.dataset(dataset).classes) for dataset in methods},
        "budgets": budgets,
    }
    if "comparisons" in registry.settings("products", product).needs:
        given["comparisons"] = comparisons(study.settings.experiments[experiment], victims)
    return canonical(given)  # type: ignore[no-any-return]


def _cells(study: Study, experiment: str, product: str) -> dict[str, Sequence[Noise | None]]:
    """The cells that a product needs, by the names of ``unlearnable.products.product.Given``."""
    cells: dict[str, Sequence[Noise | None]] = {}
    for need in registry.settings("products", product).needs:
        cells |= _needed(study, experiment, need).cells
    return cells


def inputs(
    study: Study,
    experiment: str,
    product: str,
    dated: Callable[[list[str]], Any],
    ancient: Callable[[list[str]], Any],
) -> dict[str, Any]:
    """The input files of a product, by the names of ``unlearnable.products.product.Inputs``.

    Args:
        study: the study.
        experiment: that the product belongs to.
        product: its name.
        dated: marks files that make the product run again if they change.
        ancient: marks files that do not make the product run again; the files they are read with do.
    """
    found: dict[str, Any] = {}
    for need in registry.settings("products", product).needs:
        needed = _needed(study, experiment, need)
        found |= {name: dated(paths) for name, paths in needed.files.items()}
        found |= {name: ancient(paths) for name, paths in needed.beside.items()}
    return found


@cache
def code(product: str) -> str:
    """The fingerprint of a product; it covers the published numbers, if the product uses them."""
    module = registry.module_name("products", product)
    fingerprint = code_fingerprint(module)
    if not uses(module, reported.__name__):
        return fingerprint
    return digest(fingerprint, [sha256(path) for path in reported.data_files()])


@cache
def caption(product: str) -> str:
    """The caption of a product in the report."""
    folder = registry.module_name("products", product).split(".")[-2]
    return (registry.PACKAGE / "products" / folder / "caption.rst").read_text(encoding="utf-8")


def benchmark_file(folder: str) -> str:
    """The file for Snakemake's measurements of the job that fills a folder of the results."""
    return folder.replace("results/", "results/benchmark/", 1) + ".jsonl"


@dataclass(frozen=True)
class Needed:
    """The cells and files that fulfil a need.

    Attributes:
        cells: by the names of ``unlearnable.products.product.Given``.
        files: by the names of ``unlearnable.products.product.Inputs``.
        beside: further files, which do not make a product run again.
    """

    cells: Mapping[str, Sequence[Noise | None]]
    files: Mapping[str, list[str]]
    beside: Mapping[str, list[str]] = field(default_factory=dict)


@cache
def _needed(study: Study, experiment: str, need: Need) -> Needed:
    def of(template: str, cells: Sequence[Noise], name: str = "metrics.json") -> list[str]:
        return [f"{path(template, cell)}/{name}" for cell in cells]

    if need == "sources":
        sources = study.sources(experiment)
        return Needed({need: sources}, {need: of(SOURCE, sources)})
    if need == "noises":
        noises = study.noises(experiment)
        of_noises = [study.source_of(cell) for cell in noises]
        return Needed({need: noises, "source_of_noise": of_noises}, {need: of(NOISE, noises)})
    if need == "perturbed":
        perturbed = study.perturbed(experiment)
        return Needed({need: perturbed}, {need: of(PERTURBED, perturbed)})
    if need == "victims":
        victims = study.victims(experiment)
        return Needed({need: victims}, {need: of(VICTIM, victims)})
    if need == "histories":
        victims = study.victims(experiment)
        histories, metrics = of(VICTIM, victims, "history.parquet"), of(VICTIM, victims)
        return Needed({"victims": victims}, {need: histories}, {"history_metrics": metrics})
    if need == "images":
        clean = DATASET.format(dataset=study.settings.experiments[experiment].datasets[0])
        images = shown(study, experiment)
        manifests = {"clean": [f"{clean}/manifest.json"], "shown": of(PERTURBED, images, "manifest.json")}
        folders = {"train": [f"{clean}/train"], "shards": of(PERTURBED, images, "shards")}
        return Needed({"shown": images}, manifests, folders)
    if need == "datasets":
        folders_of = [DATASET.format(dataset=name) for name in study.settings.experiments[experiment].datasets]
        halves = {half: [f"{folder}/{half}" for folder in folders_of] for half in ("train", "test")}
        return Needed({}, {need: [f"{folder}/manifest.json" for folder in folders_of]}, halves)
    return Needed({}, {})  # comparisons have no files; losing one of measured would make finished jobs run again


def shown(study: Study, experiment: str) -> list[Perturbed]:
    """The datasets of a noise sheet: each noise on the first dataset, at the first seed and the largest share."""
    axes = study.settings.experiments[experiment]
    wanted = (axes.datasets[0], axes.noise_seeds[0], max(axes.protected))
    cells = study.perturbed(experiment)
    return [c for c in cells if c.method != "clean" and (c.dataset, c.seed, c.protected) == wanted]


def _as_run(study: Study, cell: Any) -> list[dict[str, Any]]:
    """A method's settings in source training and in the noise pass, with the steps of the former."""
    noise = Noise(cell.dataset, cell.method, cell.rho_u, cell.rho_a, cell.seed)
    source = study.source_of(noise)
    steps = None if source is None else study.source_settings(source).training.steps
    layers = study.layers
    of_stages = [layers.method(cell.dataset, cell.method), layers.noise_method(cell.dataset, cell.method)]
    return [
        {"algorithm": settings.pop("algorithm"), "settings": settings | {"source_model_steps": steps}}
        for settings in map(plain, of_stages)
    ]


def _measured(study: Study, experiment: str) -> dict[str, list[list[str]]]:
    """The files with Snakemake's measurements of each cell's jobs."""

    def shards(cell: Noise) -> list[str]:
        count = study.shards(cell.dataset, cell.method)
        return [benchmark_file(f"{path(NOISE, cell)}/{shard}-of-{count}") for shard in range(count)]

    return {
        "sources": [[benchmark_file(path(SOURCE, cell))] for cell in study.sources(experiment)],
        "noises": [shards(cell) for cell in study.noises(experiment)],
        "perturbed": [[benchmark_file(path(PERTURBED, cell))] for cell in study.perturbed(experiment)],
        "victims": [[benchmark_file(path(VICTIM, cell))] for cell in study.victims(experiment)],
    }
