"""The tables of keys in config/README.md, from the descriptions of the settings' fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from unlearnable import registry
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.settings import Dataset, ProtectedFiles
from unlearnable.products.settings import NamedNoise
from unlearnable.stages.settings.source_model import SourceTraining
from unlearnable.stages.settings.victim import VictimTraining
from unlearnable.study.schema import (
    CrossedSeeds,
    Experiment,
    NoiseAxis,
    PrimaryComparison,
    Release,
    Runtime,
    ShardedPass,
    VictimAxis,
)
from unlearnable.training.settings import Training

Row = tuple[str, ...]
KEYS = ("key", "default", "meaning")


def filled(page: str) -> str:
    """The page with the current tables between its markers.

    Raises:
        KeyError: a marker names no table.
        ValueError: a table has no place in the page.
    """
    known = tables()
    found = re.findall(r"<!-- keys: ([^\n]+?) -->", page)
    missing = known.keys() - set(found)
    if missing:
        raise ValueError(f"no place for the keys of {', '.join(sorted(missing))}: <!-- keys: NAME --> and <!-- end -->")
    return re.sub(
        r"(<!-- keys: ([^\n]+?) -->\n).*?(<!-- end -->)",
        lambda place: f"{place[1]}{known[place[2]]}\n{place[3]}",
        page,
        flags=re.DOTALL,
    )


def tables() -> dict[str, str]:
    """Each table as Markdown, by its name in the page."""
    return {
        "runtime": _table(KEYS, _fields(Runtime)),
        "datasets": _table(KEYS, _fields(Dataset)),
        "augmentation": _table(KEYS, _fields(Augmentation)),
        "readers": _entries("readers", without=Dataset),
        "methods": _entries("noises"),
        "countermeasures": _entries("countermeasures"),
        "source_model": _table(KEYS, _fields(SourceTraining)),
        "noise": _table(KEYS, _fields(ShardedPass)),
        "perturbed": _table(KEYS, _fields(ProtectedFiles)),
        "victim": _table(KEYS, _fields(VictimTraining, without=Training)),
        "experiments": _table(KEYS, _fields(Experiment)),
        "releases": _table(KEYS, _fields(Release)),
        "noises of an experiment": _table(KEYS, _fields(NoiseAxis)),
        "victims of an experiment": _table(KEYS, _fields(VictimAxis)),
        "seeds of an experiment": _table(KEYS, _fields(CrossedSeeds)),
        "references of an experiment": _table(KEYS, _fields(NamedNoise)),
        "primary comparison": _table(KEYS, _fields(PrimaryComparison)),
        "products": _products(),
    }


def _fields(model: type[BaseModel], without: type[BaseModel] | None = None) -> Iterator[Row]:
    """Key, default and meaning of a model's fields, except those identical in another model."""
    for name, field in model.model_fields.items():
        same = None if without is None else without.model_fields.get(name)
        if same is None or (same.default, same.description) != (field.default, field.description):
            yield f"`{field.alias or name}`", _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        return "see below"
    return "none" if value in (None, [], {}) else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _entries(axis: str, without: type[BaseModel] | None = None) -> str:
    """An axis's entries: one row describing each, and one for each of its keys."""
    tag = registry.AXES[axis].tag
    rows: list[Row] = []
    for name in registry.available(axis):
        settings = registry.settings(axis, name)
        keys = [row for row in _fields(settings, without) if row[0] != f"`{tag}`"]
        rows += [(f"`{name}`", "", "", _first_line(settings)), *(("", *row) for row in keys)]
    return _table((f"`{tag}`", *KEYS), rows)


def _products() -> str:
    every = [registry.settings("products", name) for name in registry.available("products")]
    rows = [
        (f"`{each.product}`", f"`{each.kind}/EXPERIMENT/{each.stem}`", each.title, _style(each))
        for each in sorted(every, key=lambda each: (each.kind != "tables", each.product))
    ]
    return _table(("product", "files in `results`", "shows", "keys in `render` (default)"), rows)


def _style(product: Any) -> str:
    style = product()
    keys = ", ".join(f"`{name}` ({getattr(style, name)})" for name in type(style).model_fields)
    return f"`{product.product.replace('-', '_')}`: {keys}"


def _first_line(settings: type[BaseModel]) -> str:
    return " ".join((settings.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")


def _table(header: Row, rows: Iterable[Row]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
