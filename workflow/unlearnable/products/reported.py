"""Published numbers, and which measured ones they may be set beside."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from unlearnable.errors import UserError

FOLDER = Path(__file__).parents[2] / "references"


FU_2022 = (
    "Fu et al. (ICLR 2022), as the CUDA paper (CVPR 2023) repeats them, at the same dataset, noise, share, network and "
    "radius"
)


# What the methods of Fu et al.'s comparison were, where a method of that name may be set otherwise. Their EM is that of
# their released code: computed on the augmented image.
_EM = {"frame": "augmented", "start": "random"}
_REM = {"attack": "fresh", "start": "random", "clip": "box", "expectation": "transform"}


_CIFAR: dict[str, dict[str, Any]] = {
    "em": _EM | {"k_u": 10, "alpha_u": 0.2, "source_model_steps": 5000},
    "tap": {"steps": 250, "alpha": 0.008, "restarts": 1, "source_model_steps": 40_000},
    "rem": _REM | {"k_u": 10, "alpha_u": 0.2, "k_a": 10, "alpha_a": 0.2, "j": 5, "source_model_steps": 5000},
}


_IMAGENET: dict[str, dict[str, Any]] = {
    "em": _EM | {"k_u": 7, "alpha_u": 0.25, "source_model_steps": 3000},
    "tap": {"steps": 100, "alpha": 0.02, "restarts": 1, "source_model_steps": 40_000},
    "rem": _REM | {"k_u": 7, "alpha_u": 0.25, "k_a": 7, "alpha_a": 0.25, "j": 4, "source_model_steps": 3000},
}


SETTINGS = {"cifar10": _CIFAR, "cifar100": _CIFAR, "imagenet100": _IMAGENET}


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
    """Clean-test accuracy of one trained network, in per cent; the columns are explained beside the data."""

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
    """Hours that a noise took."""

    hours: float = Field(gt=0)
    hardware: str = Field(min_length=1)


Row = TypeVar("Row", bound=Reference)


def load(path: Path, kind: type[Row]) -> list[Row]:
    """Read published numbers.

    Args:
        path: a CSV file, with a header of the fields of ``kind``.
        kind: ``Accuracy`` or ``GenerationTime``.

    Raises:
        UserError: a value is missing or is not what its column holds.
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


@dataclass(frozen=True)
class Published:
    """Fu et al.'s accuracies and the published generation times, by the cell that they may be set beside.

    A number counts only with the published budget: miniatures of a dataset have another name, and what took fewer
    forward+backward passes than the published computation is set beside nothing.

    Attributes:
        methods: by dataset and method, the method's settings in each stage that uses them, and with them
            ``source_model_steps``.
        countermeasures: the settings of each counter-measure that cells name.
        folder: where the CSV files are.
    """

    methods: dict[str, dict[str, list[dict[str, Any]]]]
    countermeasures: dict[str, dict[str, Any]]
    folder: Path = FOLDER

    @cached_property
    def _accuracies(self) -> dict[tuple[Any, ...], Accuracy]:
        rows = [row for row in load(self.folder / "accuracy.csv", Accuracy) if row.reference == "fu2022"]
        names = ("dataset", "noise", "rho_u", "rho_a", "subset", "protected", "network", "countermeasure", "radius")
        return {tuple(getattr(row, name) for name in names): row for row in rows}

    @cached_property
    def _times(self) -> dict[tuple[str, str], GenerationTime]:
        rows = load(self.folder / "generation-time.csv", GenerationTime)
        return {(row.dataset, row.noise): row for row in rows}

    def accuracy(self, cell: dict[str, Any], passes: int) -> float | None:
        """Fu et al.'s clean-test accuracy in per cent for a victim's cell, where all axes and the method are the same.

        Args:
            cell: the axes of the victim.
            passes: forward+backward passes of its training.
        """
        algorithm = self._algorithm(cell)
        rest = algorithm == "clean" and cell["protected"] > 0
        kind = self.countermeasures[cell["countermeasure"]]["kind"]
        key = (
            *(cell["dataset"], algorithm, cell["rho_u"], cell["rho_a"], "clean-rest" if rest else "mixed"),
            *(cell["protected"], cell["network"], kind, cell["radius"]),
        )
        row = self._accuracies.get(key)
        return None if row is None or passes < (row.passes or 0) else row.accuracy

    def generation_time(self, cell: dict[str, Any], passes: int) -> GenerationTime | None:
        """The published time for a noise's cell, where the dataset and the method are the same.

        Args:
            cell: the axes of the noise.
            passes: forward+backward passes that it and its source model took.
        """
        row = self._times.get((cell["dataset"], self._algorithm(cell)))
        return None if row is None or passes < (row.passes or 0) else row

    def _algorithm(self, cell: dict[str, Any]) -> str:
        """The cell's algorithm; empty, which is no published noise, where a stage does not run it as Fu et al. did."""
        stages = self.methods[cell["dataset"]][cell["method"]]
        algorithm: str = stages[0]["algorithm"]
        wanted = SETTINGS.get(cell["dataset"], {}).get(algorithm, {})
        return algorithm if all(stage[key] == value for stage in stages for key, value in wanted.items()) else ""
