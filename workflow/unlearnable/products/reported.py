"""Published numbers, and the measured ones that they may be compared with."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, field_validator

from unlearnable.errors import UserError
from unlearnable.products.product import Given, MethodAsRun, NoiseCell, Style, VictimCell
from unlearnable.settings import Slug

FOLDER = Path(__file__).parents[2] / "references"


FU_2022 = (
    "Fu et al. (ICLR 2022), as the CUDA paper (CVPR 2023) repeats them, at the same dataset, noise, share, network and "
    "radius"
)


REFERENCE = "fu2022"  # with which measured accuracies and methods are compared

MethodSettings = dict[str, dict[str, dict[str, JsonValue]]]  # by dataset, algorithm and key
_SETTINGS = TypeAdapter(dict[Slug, dict[Slug, dict[Slug, dict[str, bool | int | float | str]]]])


class Reference(BaseModel):
    """One published number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str = Field(pattern=r"^[a-z0-9]+$")
    dataset: str = Field(pattern=r"^[a-z0-9-]+$")
    noise: str = Field(pattern=r"^[a-z0-9-]+$")
    passes: int | None
    source: str = Field(min_length=1)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_unknown(cls, value: Any, info: Any) -> Any:
        return None if value == "" and cls.model_fields[info.field_name].annotation is not str else value


class Accuracy(Reference):
    """Clean-test accuracy of one trained network, in per cent; a README beside the data explains the columns."""

    noise_settings: str
    bound: str = Field(pattern=r"^(linf|l2( [0-9.]+)?|l0( [0-9]+)?|none|)$")
    rho_u: int | None = Field(ge=0, le=255)
    rho_a: int | None = Field(ge=0, le=255)
    protected: int = Field(ge=0, le=100)
    subset: Literal["mixed", "clean-rest"]
    network: str = Field(pattern=r"^[a-z0-9-]+$")
    countermeasure: str = Field(pattern=r"^[a-z0-9-]+$")
    countermeasure_settings: str
    radius: float = Field(ge=0)
    radius_norm: Literal["linf", "l2"]
    accuracy: float = Field(ge=0, le=100)
    sd: float | None = Field(ge=0)
    n: int | None = Field(ge=1)


class GenerationTime(Reference):
    """Hours to generate a noise."""

    hours: float = Field(gt=0)
    hardware: str = Field(min_length=1)


Row = TypeVar("Row", bound=Reference)


def load_reported(path: Path, kind: type[Row]) -> list[Row]:
    """Read published numbers.

    Args:
        path: a CSV file, with a header of the fields of ``kind``.
        kind: ``Accuracy`` or ``GenerationTime``.

    Raises:
        UserError: a value is missing or invalid for its column.
    """
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            try:
                rows.append(kind.model_validate(line))
            except ValidationError as error:
                fault = error.errors(include_url=False)[0]
                where = f"{path}, row {len(rows) + 1}, column {fault['loc'][0]}"
                raise UserError(f"{where}: {fault['msg']}, not {fault['input']!r}") from None
    return rows


def load_settings(path: Path) -> dict[str, MethodSettings]:
    """Read the settings of published methods, by reference, dataset and algorithm.

    Raises:
        UserError: the file is not YAML, or its content is invalid.
    """
    try:
        return _SETTINGS.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))  # type: ignore[return-value]
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(map(str, fault["loc"][:4]))
        raise UserError(f"{path}: {key}: {fault['msg']}, not {fault['input']!r}") from None


def data_files() -> list[Path]:
    """The files with published numbers; products that use the numbers depend on their content."""
    return sorted([*FOLDER.glob("*.csv"), *FOLDER.glob("*.yaml")])


@dataclass(frozen=True)
class Published:
    """Fu et al.'s accuracies and the published generation times, by the cell that they may be compared with.

    A number is used only for the published budget: miniatures of a dataset have another name, and results of fewer
    forward+backward passes than in the publication are not compared.

    Attributes:
        methods: by dataset and method, the method's settings in each stage that uses them.
        countermeasures: the kind of each counter-measure in the cells.
        folder: of the data.
    """

    methods: dict[str, dict[str, list[MethodAsRun]]]
    countermeasures: dict[str, str]
    folder: Path = FOLDER

    @cached_property
    def _accuracies(self) -> dict[tuple[Any, ...], Accuracy]:
        rows = [row for row in load_reported(self.folder / "accuracy.csv", Accuracy) if row.reference == REFERENCE]
        names = ("dataset", "noise", "rho_u", "rho_a", "subset", "protected", "network", "countermeasure", "radius")
        return {tuple(getattr(row, name) for name in names): row for row in rows}

    @cached_property
    def _times(self) -> dict[tuple[str, str], GenerationTime]:
        rows = load_reported(self.folder / "generation-time.csv", GenerationTime)
        return {(row.dataset, row.noise): row for row in rows}

    @cached_property
    def _settings(self) -> MethodSettings:
        return load_settings(self.folder / "settings.yaml").get(REFERENCE, {})

    def accuracy(self, cell: VictimCell, passes: int) -> float | None:
        """Fu et al.'s clean-test accuracy in per cent for a victim, if all axes and the method are the same.

        Args:
            cell: the victim.
            passes: forward+backward passes of its training.

        Raises:
            UserError: the published data is invalid.
        """
        algorithm = self._algorithm(cell)
        rest = algorithm == "clean" and cell.protected > 0
        kind = self.countermeasures[cell.countermeasure]
        key = (
            *(cell.dataset, algorithm, cell.rho_u, cell.rho_a, "clean-rest" if rest else "mixed"),
            *(cell.protected, cell.network, kind, cell.radius),
        )
        row = self._accuracies.get(key)
        return None if row is None or passes < (row.passes or 0) else row.accuracy

    def generation_time(self, cell: NoiseCell, passes: int) -> GenerationTime | None:
        """The published time for a noise, if the dataset and the method are the same.

        Args:
            cell: the noise.
            passes: forward+backward passes of the noise and its source model.

        Raises:
            UserError: the published data is invalid.
        """
        row = self._times.get((cell.dataset, self._algorithm(cell)))
        return None if row is None or passes < (row.passes or 0) else row

    def _algorithm(self, cell: NoiseCell) -> str:
        """The cell's algorithm; empty, to match no published noise, if a stage does not run it as Fu et al. did."""
        stages = self.methods[cell.dataset][cell.method]
        algorithm = stages[0].algorithm
        wanted = self._settings.get(cell.dataset, {}).get(algorithm, {})
        for key, value in wanted.items():
            for stage in stages:
                if key not in stage.settings:
                    where = f"{self.folder / 'settings.yaml'}: {REFERENCE}.{cell.dataset}.{algorithm}.{key}"
                    raise UserError(f"{where}: the method {algorithm} has no such setting")
                if stage.settings[key] != value:
                    return ""
        return algorithm


def published_accuracies(given: Given[Style], passes: Iterable[int]) -> list[float | None]:
    """Fu et al.'s accuracy for each victim; None if there is none to compare it with.

    Args:
        given: the victims.
        passes: forward+backward passes of each training.

    Raises:
        UserError: the published data is invalid.
    """
    published = Published(given.methods, given.countermeasures)
    return [published.accuracy(cell, its) for cell, its in zip(given.victims, passes, strict=True)]
