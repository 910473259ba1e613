"""Image files in one folder per class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from unlearnable.datasets.readers._decoding import Encoded, Fit, decoded, file_content
from unlearnable.datasets.settings import nfc
from unlearnable.datasets.stream import Stream
from unlearnable.errors import UserError
from unlearnable.settings import nearest

IGNORED = ("Thumbs.db", "desktop.ini")  # left by file managers; so are names that begin with a dot
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif", ".bmp", ".webp", ".tif", ".tiff")
Labelled = list[tuple[Path, int]]  # image files and their labels


def ignored(name: str) -> bool:
    """Whether a file is not part of a dataset."""
    return name.startswith(".") or name in IGNORED


def entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted by name, so that their order is the same on every machine."""
    return sorted(path for path in folder.iterdir() if not ignored(path.name))


def folders_below(folder: Path) -> dict[str, Path]:
    """The folders in a folder by their composed names, sorted by name.

    Raises:
        UserError: two have the same composed name.
    """
    found: dict[str, Path] = {}
    for path in entries(folder):
        if path.is_dir() and found.setdefault(nfc(path.name), path) != path:
            raise UserError(f"{folder}: two folders are called {path.name!r}, once with separate accents; join them")
    return found


def refuse_loose(folder: Path, example: Path) -> None:
    """Make sure that no image is directly in ``folder``; other files may be.

    Args:
        folder: the parent of the class folders, or of the folders of the splits.
        example: a folder in which images are allowed, for the message.

    Raises:
        UserError: some are.
    """
    loose = [path.name for path in entries(folder) if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    if loose:
        raise UserError(
            f"{folder}: {len(loose)} images are outside the class folders, first {loose[0]}; each must be in "
            f"the folder of its class, such as {example}"
        )


def by_class(folder: Path, classes: Sequence[str], others: bool) -> Labelled:
    """The files in the class folders of ``folder``: by label, then by name.

    Args:
        folder: the parent of the class folders.
        classes: their names, by label.
        others: whether to ignore other folders in it rather than to refuse them.

    Raises:
        UserError: a class folder is missing or exists twice, another folder is not allowed, an image is outside the
            class folders, or a folder is inside one.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; it must hold a folder per class")
    folders = folders_below(folder)
    refuse_loose(folder, folder / classes[0])
    wanted = [nfc(name) for name in classes]
    unknown = [] if others else [name for name in folders if name not in wanted]
    for name in wanted:
        if name not in folders:
            hint = f"; {nearest(name, unknown)}" if unknown else ""
            raise UserError(f"{folder}: no folder for the class {name!r}{hint}")
    if unknown:
        raise UserError(f"{folder / unknown[0]}: not the folder of a class; {nearest(unknown[0], wanted)}")
    found: Labelled = []
    for label, name in enumerate(wanted):
        for path in entries(folders[name]):
            if path.is_dir():
                raise UserError(f"{path}: a folder inside a class folder; images must be directly in it")
            found.append((path, label))
    return found


def stream(images: Labelled, where: str, fit: Fit) -> Stream:
    """The stream of image files."""

    def encoded() -> Iterator[Encoded]:
        return ((str(path), partial(file_content, path, fit.require_bytes)) for path, _ in images)

    labels = np.array([label for _, label in images], np.int64)
    return Stream(where, labels, lambda: decoded(encoded(), len(images), where, fit))
