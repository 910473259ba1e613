"""What a table or figure is given, and how any of them is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import JsonValue

from unlearnable import registry
from unlearnable.files import write_checksums
from unlearnable.products.settings import ProductSettings
from unlearnable.settings import Settings

Style = TypeVar("Style", bound=ProductSettings)


class NoiseCell(Settings):
    """A noise or a source model; radii in units of 1/255, 0 where there is none."""

    dataset: str
    method: str
    rho_u: int
    rho_a: int
    seed: int


class PerturbedCell(NoiseCell):
    """A protected dataset; ``protected`` in per cent of its images, for clean images of those that are left out."""

    protected: int


class VictimCell(PerturbedCell):
    """A victim; its radius in units of 1/255, 0 for standard training."""

    network: str
    countermeasure: str
    radius: int


class MethodAsRun(Settings):
    """A method's settings in one stage, and with them ``source_model_steps``, the steps of its source model."""

    algorithm: str
    settings: dict[str, JsonValue]


class BenchmarkFiles(Settings):
    """For every cell of a kind, in the same order, what Snakemake measured of its jobs: the names of the files."""

    sources: list[list[str]] = []
    noises: list[list[str]] = []
    perturbed: list[list[str]] = []
    victims: list[list[str]] = []


class Given(Settings, Generic[Style]):
    """What a product is given. Cells that it does not need are left out.

    Attributes:
        product: which one it is.
        experiment: whose cells these are.
        style: how it looks.
        methods: by dataset and method, the method's settings in source training and in the noise pass.
        countermeasures: the kinds of the counter-measures by name.
        source_of_noise: for every noise, in the same order, its source model; None where it has none.
        shown: the protected datasets whose images are shown.
    """

    product: str
    experiment: str
    style: Style
    methods: dict[str, dict[str, list[MethodAsRun]]]
    countermeasures: dict[str, str]
    sources: list[NoiseCell] = []
    noises: list[NoiseCell] = []
    source_of_noise: list[NoiseCell | None] = []
    perturbed: list[PerturbedCell] = []
    victims: list[VictimCell] = []
    shown: list[PerturbedCell] = []
    measured: BenchmarkFiles = BenchmarkFiles()


@dataclass(frozen=True)
class Inputs:
    """The files that a product reads, in the order of the cells.

    Attributes:
        sources: metrics, as those of the next three.
        noises: metrics.
        perturbed: metrics.
        victims: metrics.
        histories: the victims' histories.
        history_metrics: the victims' metrics, which know the histories' hashes.
        clean: the manifest of the clean images that are shown.
        shown: manifests of the protected datasets that are shown.
    """

    sources: Sequence[Path] = ()
    noises: Sequence[Path] = ()
    perturbed: Sequence[Path] = ()
    victims: Sequence[Path] = ()
    histories: Sequence[Path] = ()
    history_metrics: Sequence[Path] = ()
    clean: Sequence[Path] = ()
    shown: Sequence[Path] = ()


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


def validate_given(config: dict[str, Any]) -> Given[Any]:
    """What a product is given, from plain values, with the style of the product that they name."""
    model: Any = Given[registry.settings("products", config["product"])]  # type: ignore[misc]
    given: Given[Any] = model.model_validate(config)
    return given


def make(
    config: dict[str, Any], inputs: Mapping[str, Sequence[str]], out: TableFiles | FigureFiles, checksums: str
) -> None:
    """Make the table or figure that ``config`` names.

    Args:
        config: plain values of ``Given``.
        inputs: files by the names of ``Inputs``; others, which are found beside these, are ignored.
        out: files to write.
        checksums: file for their SHA-256.

    Raises:
        UserError: an input is damaged, or the disk is full.
    """
    given = validate_given(config)
    read = {field.name: [Path(path) for path in inputs.get(field.name, ())] for field in fields(Inputs)}
    registry.load_module("products", given.product).write(given, Inputs(**read), out)
    write_checksums(checksums, *astuple(out))
