"""Which tables of numbers in the documentation were made by other settings or code than the present ones.

A comment directly above each such table says what made it, with the key of its recipe, the machine and the date:

    <!-- made: STUDY/EXPERIMENT/TABLE key=0123456789abcdef, machine, date -->

``STUDY`` is a file of ``config/studies`` without its suffix, or ``default``. The key is in the table's JSON file in
``results/tables/EXPERIMENT``; it is ``unknown`` if an earlier version, without recipes, made the table. ``bench`` in
place of the three names stands for ``make bench``. Numbers that no code here made are marked, too:

    <!-- not made here: where they come from -->
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from unlearnable.errors import UserError
from unlearnable.files import digest, sha256
from unlearnable.recipe import DIGITS
from unlearnable.study import products
from unlearnable.study.fingerprint import code_fingerprint
from unlearnable.study.recipes import Recipes
from unlearnable.tools.plan.reading import ROOT, read_study

PAGES = ("README.md", "docs/*.md")
DEFAULT, BENCH = "default", "bench"
MADE = re.compile(rf"<!-- made: (\S+) key=([0-9a-f]{{{DIGITS}}}|unknown), (.+), (\d{{4}}-\d\d-\d\d) -->")
ELSEWHERE = re.compile(r"<!-- not made here: \S.* -->")
NUMBER = re.compile(r"[-<~]?\d")
TIMED = ("stages.source_model", "stages.noise", "stages.victim", "noises.rem.noise", "noises.em.noise")


class Table(NamedTuple):
    """A table of numbers in a page.

    Attributes:
        line: number of its first line, from 1.
        mark: the line above it.
    """

    line: int
    mark: str


def tables(text: str) -> Iterator[Table]:
    """The tables of a Markdown page in which a cell below the header begins with a number; code blocks are left out."""
    lines, fenced, line = text.splitlines(), False, 0
    while line < len(lines):
        fenced ^= lines[line].startswith("```")
        start = line
        while not fenced and line < len(lines) and lines[line].startswith("|"):
            line += 1
        cells = (cell.strip() for row in lines[start + 2 : line] for cell in row.strip("|").split("|"))
        if any(NUMBER.match(cell) for cell in cells):
            yield Table(start + 1, lines[start - 1].strip() if start else "")
        line = max(line, start + 1)


def fault(table: Table) -> str | None:
    """Why a table must be marked or measured again, in words; None if the present settings and code give it."""
    if ELSEWHERE.fullmatch(table.mark):
        return None
    found = MADE.fullmatch(table.mark)
    if found is None:
        return "no mark above it, such as <!-- made: STUDY/EXPERIMENT/TABLE key=0123456789abcdef, machine, date -->"
    name, key, machine, date = found.groups()
    try:
        now = key_of(name)
    except UserError as error:
        return str(error)
    return None if key == now else f"stale: {name} was made with key {key} ({machine}, {date}), which is now {now}"


@cache
def key_of(name: str) -> str:
    """The key that the present settings and code give.

    Args:
        name: ``STUDY/EXPERIMENT/TABLE``, or ``bench``.

    Raises:
        UserError: there is no such table, or the study cannot be read.
    """
    if name == BENCH:
        written = [sha256(path) for path in sorted((ROOT / "benchmarks").glob("*.py"))]
        return digest(code_fingerprint(*(f"unlearnable.{module}" for module in TIMED)), written)[:DIGITS]
    study, experiment, table = ["", "", *name.rsplit("/", 2)][-3:]
    path = ROOT / "config/studies" / f"{study}.yaml"
    if study != DEFAULT and not (study and path.is_file()):
        raise UserError(f"the mark names {name}, but there is no study {study or name!r} in config/studies")
    recipes = _recipes(None if study == DEFAULT else path)
    if experiment not in recipes.study.settings.experiments or table not in products.by_stem("tables"):
        raise UserError(f"the mark names {name}, but that study has no experiment {experiment} or no table {table}")
    return recipes.product("tables", experiment, table).recipe.key


@cache
def _recipes(configfile: Path | None) -> Recipes:
    return Recipes(read_study(*([] if configfile is None else [configfile])))


def listed(folder: Path) -> list[str]:
    """A line for every table of numbers in the pages of a project that must be marked or measured again."""
    pages = [path for pattern in PAGES for path in sorted(folder.glob(pattern))]
    return [
        f"{path.relative_to(folder)}:{table.line}: {why}"
        for path in pages
        for table in tables(path.read_text(encoding="utf-8"))
        if (why := fault(table)) is not None
    ]


def main(arguments: list[str] | None = None) -> None:
    """Print the tables that must be marked or measured again; exit code 1 if there are any.

    Args:
        arguments: of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(
        prog="python -m unlearnable.tools.stale", description="Which numbers in README and docs are stale."
    )
    parser.add_argument("--directory", type=Path, default=ROOT, help="the project whose pages are read")
    folder = parser.parse_args(arguments).directory
    if not (folder / "README.md").is_file():
        sys.exit(f"{folder}: has no README.md; set --directory to the folder of a project")
    lines = listed(folder)
    print("\n".join(lines) or "No table of numbers is stale.")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
