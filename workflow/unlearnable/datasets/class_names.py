"""Class names in a dataset's own files, compared with those in its description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from unlearnable import files
from unlearnable.datasets.settings import nfc
from unlearnable.errors import UserError

FILE = "classes.txt"  # one name per line, by label; each may follow its number
LONGEST_FILE = 2**20  # bytes
NUMBERED = re.compile(r"(\d+)[\s:.,;-]+(\S.*)")
WORDNET_ID = re.compile(r"n\d{8}")
SHOWN = 10  # names of an order in a message


def require_same(found: Sequence[str], classes: Sequence[str], where: str) -> None:
    """Make sure that the names in a file are those of the description, in the same order.

    Args:
        found: the names in the file, by label.
        classes: the names in the description, by label.
        where: the file, for the message.

    Raises:
        UserError: they differ, other than in their Unicode normal form.
    """
    pairs = list(zip(map(nfc, found), map(nfc, classes), strict=False))
    label = next((label for label, (theirs, ours) in enumerate(pairs) if theirs != ours), len(pairs))
    if label == len(found) == len(classes):
        return
    if len(found) != len(classes):
        what = f"it has {len(found)} classes, but the description has {len(classes)}"
    else:
        what = f"class {label} is {found[label]!r}, not {classes[label]!r}"
    start = label if max(len(found), len(classes)) > SHOWN else 0
    raise UserError(
        f"{where}: {what}: its classes are {_order(found, start)}, and the dataset's key classes is "
        f"{_order(classes, start)}; write classes as in the file"
    )


def require_official_order(official: Sequence[str], classes: Sequence[str], where: str) -> None:
    """Make sure that the names of a published dataset have their official order, if the description uses these names.

    Args:
        official: the names, by label.
        classes: the names in the description, by label; other names are accepted.
        where: the dataset's files, for the message.

    Raises:
        UserError: they are the official names in another order.
    """
    if sorted(map(nfc, official)) == sorted(map(nfc, classes)):
        require_same(official, classes, where)


def require_wordnet_order(classes: Sequence[str], where: str) -> None:
    """Make sure that WordNet ids are in WordNet's order, by which everybody numbers these classes.

    Args:
        classes: the names in the description, by label; names that are not all WordNet ids are accepted.
        where: the dataset's files, for the message.

    Raises:
        UserError: they are in another order.
    """
    if all(WORDNET_ID.fullmatch(name) for name in classes):
        require_official_order(sorted(classes), classes, f"{where}, in WordNet's order")


def require_listed(folder: Path, classes: Sequence[str]) -> None:
    """Compare the description with the file ``classes.txt`` of a dataset's folder, if it is there.

    Raises:
        UserError: the names differ, or the file is not a list of names.
    """
    path = folder / FILE
    if not path.is_file():
        return
    try:
        text = files.read_whole(path, LONGEST_FILE).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable list of class names in UTF-8 ({error})") from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if [*map(nfc, names)] != [*map(nfc, classes)]:
        require_same(_without_numbers(names), classes, str(path))


def _without_numbers(names: list[str]) -> list[str]:
    """The names behind the numbers that all lines begin with, counted from 0 or 1; else the lines as they are."""
    found = [NUMBERED.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in found if match]
    if len(numbers) == len(names) and numbers in ([*range(len(names))], [*range(1, len(names) + 1)]):
        return [match[2] for match in found if match]
    return names


def _order(names: Sequence[str], start: int) -> str:
    """An order of names, for a message; of a long one the part from the label ``start`` on."""
    shown = [name if name.isprintable() else ascii(name) for name in names[start : start + SHOWN]]
    more = start + SHOWN < len(names)
    return f"[{', '.join(['...'] * (start > 0) + shown + ['...'] * more)}]"
