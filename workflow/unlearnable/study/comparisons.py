"""The comparisons that an experiment names, checked against its victims, as its products are given them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from unlearnable import registry
from unlearnable.products.settings import MOST_SEEDS, NamedNoise
from unlearnable.study.cells import Victim, unique
from unlearnable.study.faults import Fault
from unlearnable.study.schema import Experiment, PrimaryComparison
from unlearnable.study.yaml_files import Key

CLEAN = NamedNoise(method="clean")
AXES = ("dataset", "network", "countermeasure", "radius", "protected")


class Unmatched(Exception):
    """A comparison fits no victims of its experiment.

    Attributes:
        fault: why, at a key relative to the experiment's.
    """

    def __init__(self, key: Key, message: str) -> None:
        super().__init__(key, message)
        self.fault: Fault = (key, message)


def comparing(experiment: Experiment) -> bool:
    """Whether an experiment names a comparison or shows any."""
    return bool(experiment.references or experiment.primary or _shown(experiment))


def comparison_faults(at: Key, experiment: Experiment, victims: Sequence[Victim]) -> Iterator[Fault]:
    """What is wrong with the comparisons of an experiment.

    Args:
        at: the place of the experiment.
        experiment: its axes.
        victims: its victims.
    """
    try:
        found = comparisons(experiment, victims)
    except Unmatched as error:
        key, message = error.fault
        yield (*at, *key), message
        return
    for index in _shown(experiment):
        name, place = experiment.products[index], (*at, "products", index)
        if not set(_noises(victims)) - {CLEAN} or not found["references"]:
            needed = "add {method: clean} to its noises, or name references"
            yield place, f"{name} has nothing to compare in this experiment: {needed}"
        elif len(experiment.noise_seeds) > MOST_SEEDS:
            yield place, f"{name} takes at most {MOST_SEEDS} noise seeds, because its tests are exact"


def comparisons(experiment: Experiment, victims: Sequence[Victim]) -> dict[str, Any]:
    """The comparisons of an experiment: plain values of ``unlearnable.products.product.Comparisons``.

    Args:
        experiment: its axes.
        victims: its victims.

    Raises:
        Unmatched: a comparison names a noise or a victim that the experiment does not have.
    """
    known = _noises(victims)
    for index, noise in enumerate(experiment.references):
        _require(noise, known, ("references", index))
    primary = None if experiment.primary is None else _resolved(experiment.primary, known, victims)
    clean = [CLEAN] if CLEAN in known else []
    # Of two noises that are both references, only the first is compared with the other: the primary's comes first.
    first = [] if experiment.primary is None else [experiment.primary.reference]
    references = [noise.model_dump() for noise in unique([*clean, *first, *experiment.references])]
    return {"references": references, "primary": primary}


def _shown(experiment: Experiment) -> list[int]:
    """The places of the products that show comparisons."""
    needs = [registry.settings("products", name).needs for name in experiment.products]
    return [index for index, of_product in enumerate(needs) if "comparisons" in of_product]


def _noises(victims: Sequence[Victim]) -> list[NamedNoise]:
    """The noises that victims learn from; the clean rest of a protected dataset is not the clean reference."""
    cells = [cell for cell in victims if cell.method != "clean" or cell.protected == 0]
    return unique([_noise(cell) for cell in cells])


def _noise(cell: Victim) -> NamedNoise:
    return NamedNoise(method=cell.method, rho_u=cell.rho_u, rho_a=cell.rho_a)


def _require(noise: NamedNoise, known: Sequence[NamedNoise], key: Key) -> None:
    if noise not in known:
        alike = [each for each in known if each.method == noise.method] or known
        raise Unmatched(key, f"no such noise in this experiment; known: {', '.join(map(_written, alike))}")


def _written(noise: NamedNoise) -> str:
    """A noise as in YAML."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in noise if value) + "}"


def _resolved(named: PrimaryComparison, known: Sequence[NamedNoise], victims: Sequence[Victim]) -> dict[str, Any]:
    """The primary comparison with all axes of its victims: plain values of ``products.product.Comparison``."""
    for key in ("noise", "reference"):
        _require(getattr(named, key), known, ("primary", key))
    if named.noise == CLEAN:
        raise Unmatched(("primary", "noise"), "must be a noise; clean images can be its reference")
    if named.noise == named.reference:
        raise Unmatched(("primary", "reference"), "must not be the noise itself")
    found = named.model_dump(include={"noise", "reference"})
    cells = [cell for cell in victims if _noise(cell) == named.noise]
    for axis in AXES:
        values, value = unique([getattr(cell, axis) for cell in cells]), getattr(named, axis)
        listed = ", ".join(map(str, values))
        if value is None and len(values) > 1:
            raise Unmatched(("primary",), f"must say which {axis}, one of {listed}")
        if value is not None and value not in values:
            raise Unmatched(("primary", axis), f"no victim of this noise has it; known: {listed}")
        found[axis] = values[0] if value is None else value
        cells = [cell for cell in cells if getattr(cell, axis) == found[axis]]
    return found
