"""The input of a table or figure, and how each is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import JsonValue

from unlearnable import files, registry
from unlearnable.products.settings import NamedNoise, ProductSettings
from unlearnable.recipe import BY_HAND, Made
from unlearnable.settings import Settings

Style = TypeVar("Style", bound=ProductSettings)


class NoiseCell(Settings):
    """A noise or a source model; radii in units of 1/255, 0 if there is none."""

    dataset: str
    method: str
    rho_u: int
    rho_a: int
    seed: int


class PerturbedCell(NoiseCell):
    """A protected dataset; ``protected`` is the percentage of images protected or, if they are clean, left out."""

    protected: int


class VictimCell(PerturbedCell):
    """A victim; its radius in units of 1/255, 0 for standard training; ``seed`` is that of its noise."""

    network: str
    countermeasure: str
    radius: int
    victim_seed: int


class MethodAsRun(Settings):
    """A method's settings in one stage, together with ``source_model_steps``, the steps of its source model."""

    algorithm: str
    settings: dict[str, JsonValue]


class VictimBudget(Settings):
    """How a network is trained as a victim on a dataset; the keys are those of ``victim`` in the configuration."""

    steps: int
    batch_size: int
    lr: float
    lr_drops: list[float]
    lr_factor: float
    momentum: float
    weight_decay: float
    k_a: int
    alpha_a: float


class Comparison(Settings):
    """A noise and a reference, under one way of training on one dataset."""

    noise: NamedNoise
    reference: NamedNoise
    dataset: str
    network: str
    protected: int
    countermeasure: str
    radius: int


class Comparisons(Settings):
    """What the noises of an experiment are compared with, and which comparison was named primary."""

    references: list[NamedNoise] = []
    primary: Comparison | None = None


class BenchmarkFiles(Settings):
    """For every cell of a kind, in the same order, the names of the files with Snakemake's measurements of its jobs."""

    sources: list[list[str]] = []
    noises: list[list[str]] = []
    perturbed: list[list[str]] = []
    victims: list[list[str]] = []


class Given(Settings, Generic[Style]):
    """The input of a product. Cells that it does not need are left out.

    Attributes:
        product: its name.
        experiment: that the cells belong to.
        style: its settings in ``render``.
        methods: by dataset and method, the method's settings in source training and in the noise pass.
        countermeasures: the kind of each counter-measure, by name.
        classes: the number of classes, by dataset.
        budgets: of the victims, by dataset and network.
        source_of_noise: the source model of every noise, in the same order; None if it has none.
        shown: the protected datasets to show images of.
    """

    product: str
    experiment: str
    style: Style
    methods: dict[str, dict[str, list[MethodAsRun]]]
    countermeasures: dict[str, str]
    classes: dict[str, int]
    budgets: dict[str, dict[str, VictimBudget]]
    sources: list[NoiseCell] = []
    noises: list[NoiseCell] = []
    source_of_noise: list[NoiseCell | None] = []
    perturbed: list[PerturbedCell] = []
    victims: list[VictimCell] = []
    shown: list[PerturbedCell] = []
    measured: BenchmarkFiles = BenchmarkFiles()
    comparisons: Comparisons = Comparisons()


@dataclass(frozen=True)
class Inputs:
    """The files that a product reads, in the order of the cells.

    Attributes:
        sources: metrics of source models.
        noises: metrics.
        perturbed: metrics.
        victims: metrics.
        histories: the victims' histories.
        history_metrics: the victims' metrics, which contain the histories' hashes.
        clean: the manifest of the clean images to show.
        shown: manifests of the protected datasets to show.
        datasets: manifests of the experiment's datasets, in its order.
    """

    sources: Sequence[Path] = ()
    noises: Sequence[Path] = ()
    perturbed: Sequence[Path] = ()
    victims: Sequence[Path] = ()
    histories: Sequence[Path] = ()
    history_metrics: Sequence[Path] = ()
    clean: Sequence[Path] = ()
    shown: Sequence[Path] = ()
    datasets: Sequence[Path] = ()


@dataclass(frozen=True)
class TableFiles:
    """The files of a table: the numbers as CSV, their text as Markdown and LaTeX."""

    csv: Path
    markdown: Path
    latex: Path


@dataclass(frozen=True)
class FigureFiles:
    """The files of a figure."""

    pdf: Path
    svg: Path
    png: Path


def validate_given(config: Mapping[str, object]) -> Given[Any]:
    """The input of a product from plain values, with the style of the product named in them."""
    model: Any = Given[registry.settings("products", config["product"])]  # type: ignore[misc]
    given: Given[Any] = model.model_validate(config)
    return given


def make(
    config: Mapping[str, object],
    inputs: Mapping[str, Sequence[str]],
    out: TableFiles | FigureFiles,
    manifest: str,
    *,
    made: Made = BY_HAND,
) -> None:
    """Make the table or figure named in ``config``.

    Args:
        config: plain values of ``Given``.
        inputs: files by the names in ``Inputs``; other names, for files found beside these, are ignored.
        out: files to write.
        manifest: JSON file to write: their hashes.
        made: what the product is made with.

    Raises:
        UserError: an input is damaged, or the disk is full.
    """
    given = validate_given(config)
    read = {field.name: [Path(path) for path in inputs.get(field.name, ())] for field in fields(Inputs)}
    registry.load_module("products", given.product).write(given, Inputs(**read), out)
    files.write_json(manifest, {files.HASHES: files.hashes(*astuple(out)), **made})
