"""The cells of a study (noises, protected datasets, victims) and the folders of their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

DATASET = "results/dataset/{dataset}"
SOURCE = "results/source_model/{dataset}/{method}/u{rho_u}-a{rho_a}/s{seed}"
NOISE = "results/noise/{dataset}/{method}/u{rho_u}-a{rho_a}/s{seed}"
PERTURBED = "results/perturbed/{dataset}/{method}/u{rho_u}-a{rho_a}/s{seed}/p{protected}"
RELEASE = "results/release_record/{release}"
RELEASED = "results/release/{release}"
VICTIM = (
    "results/victim/{dataset}/{method}/u{rho_u}-a{rho_a}/p{protected}/{network}/{countermeasure}/r{radius}/s{seeds}"
)


@dataclass(frozen=True)
class Noise:
    """One noise: a method at two radii (1/255) on a dataset, from one seed."""

    dataset: str
    method: str
    rho_u: int
    rho_a: int
    seed: int


@dataclass(frozen=True)
class Perturbed(Noise):
    """A protected dataset: ``protected`` per cent of its images carry the noise.

    For the method clean, no image carries noise, and the ``protected`` per cent that would are left out: above 0, this
    is the clean rest of a partly protected dataset.
    """

    protected: int


@dataclass(frozen=True)
class Victim(Perturbed):
    """A network trained on a protected dataset, with a counter-measure, at a radius (1/255; 0: standard training).

    ``seed`` is that of the protected dataset, ``victim_seed`` that of the training.
    """

    network: str
    countermeasure: str
    radius: int
    victim_seed: int

    @property
    def seeds(self) -> str:
        """Both seeds in the victim's path: ``3`` if they are equal, otherwise ``3-v1``."""
        return f"{self.seed}" if self.seed == self.victim_seed else f"{self.seed}-v{self.victim_seed}"


Cell = TypeVar("Cell", bound=Noise)


def cell(kind: type[Cell], wildcards: Mapping[str, str]) -> Cell:
    """The cell of a kind named by the wildcards of a rule."""
    given = dict(wildcards.items())
    if "seeds" in given:
        given["seed"], _, own = given["seeds"].partition("-v")
        given["victim_seed"] = own or given["seed"]
    axes = kind.__dataclass_fields__.items()  # thousands of cells are planned, and dataclasses.fields takes longer
    values: dict[str, Any] = {name: int(given[name]) if axis.type == "int" else given[name] for name, axis in axes}
    return kind(**values)


def path(template: str, cell: Any) -> str:
    """The folder of a cell."""
    seeds = {"seeds": cell.seeds} if isinstance(cell, Victim) else {}
    return template.format(**vars(cell), **seeds)


def perturbed_of(cell: Victim) -> Perturbed:
    """The dataset that a victim trains on. Clean data are the same for every seed, so they are written once."""
    seed = 0 if cell.method == "clean" and cell.protected == 0 else cell.seed
    return Perturbed(cell.dataset, cell.method, cell.rho_u, cell.rho_a, seed, cell.protected)


def noise_of(cell: Perturbed) -> Noise:
    """The noise in a protected dataset."""
    return Noise(cell.dataset, cell.method, cell.rho_u, cell.rho_a, cell.seed)


def unique(items: Iterable[Any]) -> list[Any]:
    """The distinct items, in order of first appearance."""
    return list(dict.fromkeys(items))
