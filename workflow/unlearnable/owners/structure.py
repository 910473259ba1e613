"""Which files an owner's folder holds, and of which class each is: class folders, or an index of files and labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa

from unlearnable.datasets.readers._class_folders import SUFFIXES
from unlearnable.datasets.settings import nfc
from unlearnable.errors import UserError
from unlearnable.owners.image_file import NOT_READ

LEFT_BY_SYSTEMS = ("Thumbs.db", "desktop.ini", "@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN")
INDEXES = (".csv", ".parquet")
COLUMNS = ("file", "label")
HALVES = ("train", "test")
WHY_LABELS = (
    "the noise is made to hide what tells the classes apart, so every image needs a label: put the images of each "
    "class into a folder of their own, or write a CSV with the columns file and label beside them"
)


@dataclass(frozen=True)
class Entry:
    """One file.

    Attributes:
        file: its path from the owner's folder, with ``/``.
        label: name of its class.
        test: whether it is only for measuring: such images are neither protected nor released.
    """

    file: str
    label: str
    test: bool = False


@dataclass(frozen=True)
class Fault:
    """Something that cannot be protected.

    Attributes:
        file: its path from the owner's folder.
        reason: what is wrong, and what to do.
    """

    file: str
    reason: str


@dataclass
class Structure:
    """The files of an owner's folder.

    Attributes:
        root: the folder that files are named from.
        entries: the files of the classes.
        faults: what does not belong there.
        ignored: what operating systems left there.
    """

    root: Path
    entries: list[Entry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def read_structure(given: Path) -> Structure:
    """List the files of an owner's folder; no image is opened.

    Args:
        given: the folder, or an index of it, CSV or Parquet.

    Raises:
        UserError: there are no labels: the folder is flat, or its index has none; or there is no such folder.
    """
    if given.suffix.lower() in INDEXES and given.is_file():
        return indexed(given.parent, given)
    if not given.is_dir():
        raise UserError(f"{given}: no such folder")
    root = given.absolute()
    indexes = [path for path in sorted(root.iterdir()) if path.suffix.lower() in INDEXES and path.is_file()]
    if len(indexes) == 1:
        return indexed(root, indexes[0])
    found = Structure(root)
    halves = [name for name in HALVES if (root / name).is_dir()]
    if halves == ["train", "test"] or halves == ["train"]:
        _outside(found, root, halves)
        for name in halves:
            _classes(found, root / name, name == "test")
    else:
        _classes(found, root, False, without=halves)
        for name in halves:
            _classes(found, root / name, True)
    if not found.entries and any(fault.file.count("/") == 0 for fault in found.faults):
        raise UserError(f"{given}: there are images, but no class folders; {WHY_LABELS}")
    return found


def _listed(found: Structure, folder: Path) -> Iterator[Path]:
    """The entries of a folder by name; what systems left there is noted."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in LEFT_BY_SYSTEMS:
            found.ignored.append(_name(found, path))
        else:
            yield path


def _name(found: Structure, path: Path) -> str:
    return path.relative_to(found.root).as_posix()


def _outside(found: Structure, folder: Path, allowed: list[str]) -> None:
    """Note what lies beside the folders that are meant to be in a folder."""
    for path in _listed(found, folder):
        if path.is_dir() and path.name not in allowed:
            found.faults.append(Fault(_name(found, path), f"a folder beside {allowed[0]}; move it into that, or away"))
        elif not path.is_dir():
            _loose(found, path)


def _loose(found: Structure, path: Path) -> None:
    if path.suffix.lower() in (*SUFFIXES, *NOT_READ):
        found.faults.append(
            Fault(_name(found, path), "outside the class folders; move it into the folder of its class")
        )
    else:
        found.ignored.append(_name(found, path))


def _classes(found: Structure, folder: Path, test: bool, without: list[str] | None = None) -> None:
    """Read the class folders of a folder."""
    for path in _listed(found, folder):
        if not path.is_dir():
            _loose(found, path)
        elif path.is_symlink():
            found.faults.append(Fault(_name(found, path), "a link to a folder; put the folder itself here"))
        elif path.name not in (without or []):
            _class(found, path, test)


def _class(found: Structure, folder: Path, test: bool) -> None:
    before = len(found.entries)
    for path in _listed(found, folder):
        name = _name(found, path)
        if path.is_dir():
            inside = "move its images into the class folder above it, or give each of its folders as a class"
            found.faults.append(Fault(name, f"a folder inside a class folder; {inside}"))
        else:
            found.entries.append(Entry(name, nfc(folder.name), test))
    if len(found.entries) == before:
        found.faults.append(Fault(_name(found, folder), "a class without images; add some, or remove the folder"))


def indexed(root: Path, index: Path) -> Structure:
    """The files of an index, in its order.

    Args:
        root: the folder that it names files from.
        index: CSV or Parquet.

    Raises:
        UserError: it cannot be read, or has no files or labels.
    """
    found = Structure(root.absolute())
    try:
        if index.suffix.lower() == ".csv":
            table = pd.read_csv(index, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        else:
            table = pd.read_parquet(index)
    except (ValueError, OSError, pa.ArrowException) as error:  # a UnicodeDecodeError and pandas' own are ValueErrors
        raise UserError(f"{index}: not a readable list of files and labels ({error})") from error
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise UserError(f"{index}: has no column {' and no column '.join(missing)}; {WHY_LABELS}")
    halves = table["split"] if "split" in table else ["train"] * len(table)
    first: dict[str, str] = {}
    for file, label, half in zip(table["file"], table["label"], halves, strict=True):
        name, label = str(file), nfc(str(label))
        path = root / name
        if not label:
            found.faults.append(Fault(name, "has no label; give it one, or remove its line"))
        elif Path(name).is_absolute() or ".." in Path(name).parts:
            found.faults.append(Fault(name, f"outside {root}; put it beside the index"))
        elif first.setdefault(name, label) != label or not (path.exists() or path.is_symlink()):
            why = (
                f"no such file beside {index.name}" if first[name] == label else f"has two labels, {first[name]!r} too"
            )
            found.faults.append(Fault(name, f"{why}; correct its line, or remove it"))
        else:
            found.entries.append(Entry(name, label, str(half) == "test"))
    return found


def bad_name(file: str) -> str | None:
    """Why a file's name cannot be in a release; None if it can."""
    if not file.isprintable():
        if any("\ud800" <= character <= "\udfff" for character in file):
            return "its name is not UTF-8; rename it"
        if any(unicodedata.category(character) == "Cc" for character in file):
            return "its name holds the end of a line or another control character; rename it"
    return None
