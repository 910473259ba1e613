"""What a result was made with: which result it is, its settings, its code, and the recipes of its inputs.

A recipe follows from the configuration and the code alone, so a study knows every recipe before anything is made. Each
result stores its own, and whoever reads a result compares the two: Snakemake's notes and the dates of files can get
lost, and folders can be exchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from unlearnable import files
from unlearnable.errors import UserError, regenerate

RECIPE = "recipe"  # in a JSON file: what the results of its job were made with
READ = "read"  # in a JSON file: a digest of the files of each result that its job read
Made = Mapping[str, Any]  # RECIPE and READ, as a stage stores them
BY_HAND: Made = {}  # of a stage that is not part of a study
DIGITS = 16  # of a key; as many as it takes to tell the results of one study apart
SHOWN = 3  # settings named in a message
RESULTS = "results"


@dataclass(frozen=True)
class Recipe:
    """What a result is made with.

    Attributes:
        result: its folder below the working directory; for a table or figure, its files without suffix.
        settings: plain values.
        code: the fingerprint of the code that shapes it.
        inputs: the keys of the recipes of its inputs, by the names of the job's inputs; one for each file, or one for
            all of them.
        part: its files in that folder, without suffix, if several jobs make the result. The number of parts does not
            shape the result, so the key does not depend on it.
    """

    result: str
    settings: Any
    code: str
    inputs: Mapping[str, list[str]]
    part: str = ""

    @cached_property
    def key(self) -> str:
        """A digest of everything that the result follows from."""
        return files.digest(self.result, self.settings, self.code, self.inputs)[:DIGITS]

    @property
    def where(self) -> str:
        """Its folder or, if it shares that with other jobs, its files without suffix."""
        return f"{self.result}/{self.part}" if self.part else self.result

    def plain(self) -> dict[str, Any]:
        """The recipe as it is stored in a JSON file."""
        return {name: getattr(self, name) for name in PARTS} | {"key": self.key}

    @staticmethod
    def stored(content: Mapping[str, Any]) -> Recipe | None:
        """The recipe in the content of a JSON file; None if there is none, as an earlier version wrote the file."""
        found = content.get(RECIPE)
        if not isinstance(found, dict) or not found.keys() >= set(PARTS) or not isinstance(found["inputs"], dict):
            return None
        return Recipe(**{name: found[name] for name in PARTS})


PARTS = tuple(field.name for field in fields(Recipe))  # in this order, or Snakemake would take them for changed


def difference(found: Recipe | None, wanted: Recipe) -> str | None:
    """How the recipe of a result differs from the one wanted, with both values; None if only its inputs may."""
    if found is None:
        return "does not say what it was made with: an earlier version wrote it"
    if found.where != wanted.where:
        return f"is {found.where}, not {wanted.where}"
    if found.settings != wanted.settings:
        settings = list(_differences(found.settings, wanted.settings))
        more = f", and {len(settings) - SHOWN} more" if len(settings) > SHOWN else ""
        return f"was made with {', '.join(settings[:SHOWN])}{more}"
    if found.code != wanted.code:
        return f"was made by other code (fingerprint {found.code[:DIGITS]}, now {wanted.code[:DIGITS]})"
    return None


def other_inputs(found: Recipe, wanted: Recipe) -> str | None:
    """Which inputs in the recipe of a result differ from those wanted; None if none do."""
    for name in sorted(found.inputs.keys() | wanted.inputs.keys()):
        had, keys = found.inputs.get(name), wanted.inputs.get(name)
        if had != keys:
            return f"was made from other inputs ({name}: key {_short(had)}, now {_short(keys)})"
    return None


def _differences(found: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Every setting that differs, such as ``training.steps 5 (now 10)``."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            yield from _differences(found.get(name), wanted.get(name), f"{where}.{name}".removeprefix("."))
    elif found != wanted:
        yield f"{where} {found} (now {wanted})"


def _short(keys: list[str] | None) -> str:
    if not keys:
        return "none"
    return keys[0] if len(keys) == 1 else files.digest(keys)[:DIGITS]


def from_results(path: Path) -> PurePosixPath | None:
    """A path from its last folder ``results`` on, as recipes name files; None if it is in no such folder."""
    parts = path.parts
    return PurePosixPath(*parts[len(parts) - 1 - parts[::-1].index(RESULTS) :]) if RESULTS in parts else None


def misplaced(path: Path, content: Mapping[str, Any]) -> str | None:
    """What is wrong if the content of the JSON file at ``path`` belongs to another result; None if it does not."""
    found = Recipe.stored(content)
    own = from_results(path)
    if found is None or own is None or found.where in (str(own.parent), str(own.with_suffix(""))):
        return None
    return f"{path}: is {found.where}, which belongs elsewhere: folders or files were exchanged; {regenerate(path)}"


def read_by(content: Mapping[str, Any]) -> dict[str, str]:
    """The digests of the results that the job of a JSON file read, by their JSON files."""
    found = content.get(READ)
    return found if isinstance(found, dict) else {}


def contents(content: Mapping[str, Any]) -> str:
    """A digest of the files that a JSON file lists."""
    return files.digest(content.get(files.HASHES, {}))[:DIGITS]


def read(path: Path, key: str) -> tuple[str, str]:
    """Make sure that an input is the one that a job is meant to read.

    Args:
        path: of the input's JSON file.
        key: of the recipe that it should have.

    Returns:
        Its path from ``results`` on, and the digest of the files that it lists.

    Raises:
        UserError: the file is damaged, belongs to another result, or was made with something else.
    """
    content = files.read_json(path)
    wrong = misplaced(path, content)
    if wrong is not None:
        raise UserError(wrong)
    found = Recipe.stored(content)
    if found is None or found.key != key:
        had = "an earlier version, which wrote no recipe" if found is None else f"another recipe (key {found.key})"
        raise UserError(f"{path}: was made with {had}, and this study asks for key {key}; {regenerate(path)}")
    return str(from_results(path) or path), contents(content)
