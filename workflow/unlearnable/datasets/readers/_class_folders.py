"""Image files in one folder a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from unlearnable.datasets.readers._decoding import Encoded, Fit, decoded
from unlearnable.datasets.stream import Stream
from unlearnable.errors import UserError
from unlearnable.settings import nearest

IGNORED = ("Thumbs.db", "desktop.ini")  # what file managers leave behind, as are names that begin with a dot
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif", ".bmp", ".webp", ".tif", ".tiff")
Labelled = list[tuple[Path, int]]  # image files and their labels


def ignored(name: str) -> bool:
    """Whether a file is nobody's."""
    return name.startswith(".") or name in IGNORED


def entries(folder: Path) -> list[Path]:
    """What a folder holds, in the order of names, which is the same on every machine."""
    return sorted(path for path in folder.iterdir() if not ignored(path.name))


def refuse_loose(folder: Path, example: Path) -> None:
    """Make sure that no image lies directly in ``folder``; other files may.

    Args:
        folder: what holds the class folders, or the folders of the splits.
        example: a folder that images may lie in, for the message.

    Raises:
        UserError: some do.
    """
    loose = [path.name for path in entries(folder) if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    if loose:
        raise UserError(
            f"{folder}: {len(loose)} images lie outside the class folders, first {loose[0]}; each must lie in "
            f"the folder of its class, such as {example}"
        )


def by_class(folder: Path, classes: Sequence[str], others: bool) -> Labelled:
    """The files in the class folders of ``folder``: by label, then by name.

    Args:
        folder: what holds the class folders.
        classes: their names, by label.
        others: whether it may hold other folders, which are not read.

    Raises:
        UserError: a class folder is missing; there is another one, and may not; an image lies outside of them, or a
            folder inside.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; it must hold one folder a class")
    held = entries(folder)
    folders = [path.name for path in held if path.is_dir()]
    refuse_loose(folder, folder / classes[0])
    unknown = [] if others else [name for name in folders if name not in classes]
    for name in classes:
        if name not in folders:
            hint = f"; {nearest(name, unknown)}" if unknown else ""
            raise UserError(f"{folder}: no folder for the class {name!r}{hint}")
    if unknown:
        raise UserError(f"{folder / unknown[0]}: not the folder of a class; {nearest(unknown[0], list(classes))}")
    found: Labelled = []
    for label, name in enumerate(classes):
        for path in entries(folder / name):
            if path.is_dir():
                raise UserError(f"{path}: a folder inside a class folder; images must lie directly in it")
            found.append((path, label))
    return found


def stream(images: Labelled, where: str, fit: Fit) -> Stream:
    """The images of some files."""

    def encoded() -> Iterator[Encoded]:
        return ((str(path), path.read_bytes) for path, _ in images)

    labels = np.array([label for _, label in images], np.int64)
    return Stream(where, labels, lambda: decoded(encoded(), len(images), where, fit))
