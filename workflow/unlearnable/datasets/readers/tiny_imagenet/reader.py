"""Tiny ImageNet from its official zip or from the unpacked folder.

Its val images are the test split, because the labels of its test images are not published. Grey images become RGB with
three equal channels.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.datasets import class_names
from unlearnable.datasets.readers import _checked_files
from unlearnable.datasets.readers._class_folders import ignored
from unlearnable.datasets.readers._decoding import Encoded, Fit, decoded, file_content
from unlearnable.datasets.readers.tiny_imagenet.settings import TinyImagenetDataset
from unlearnable.datasets.size import Size, official
from unlearnable.datasets.split import Array
from unlearnable.datasets.stream import Stream
from unlearnable.errors import UserError

ARCHIVE = "tiny-imagenet-200.zip"
FOLDER = "tiny-imagenet-200"
SHA256 = "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"
MIRRORS = ["http://cs231n.stanford.edu"]
ANNOTATIONS = "val/val_annotations.txt"
TEXT_LIMIT = 2**24  # bytes of a text file; the largest official one has half a million
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of compression; Python unpacks others whole
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


Require = Callable[[int, str], None]  # refuses a size in bytes; the second argument is the file's name in messages
Content = Callable[[str, Require], bytes]  # reads a file by name


@dataclass(frozen=True)
class _Tree:
    """The files of the dataset.

    Attributes:
        where: the zip or the folder.
        names: paths relative to the dataset's own folder, with slashes.
        reading: opens the dataset; gives a function that reads a file.
    """

    where: Path
    names: list[str]
    reading: Callable[[], AbstractContextManager[Content]]


def read(dataset: TinyImagenetDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Read the zip, or the folder; arguments and errors as for ``datasets.read.read``."""
    provenance: dict[str, Any] = {"kind": "tiny-imagenet", "root": dataset.archive or ARCHIVE}
    if dataset.archive is not None and (root / dataset.archive).is_dir():
        tree = _folder(root / dataset.archive)
    else:
        expected, mirrors = dataset.sha256 or SHA256, dataset.mirrors or MIRRORS
        path, _ = _checked_files.archive(dataset.archive, ARCHIVE, expected, mirrors, root, downloads)
        provenance["sha256"] = {ARCHIVE: expected}
        tree = _zip(path)
    _check_classes(tree, dataset.classes)
    fit = Fit.of(dataset, resize=False)
    splits = {"train": _train(tree, dataset.classes), "test": _val(tree, dataset.classes)}
    train, test = (
        _stream(tree, images, f"{provenance['root']}, {split} split", fit) for split, images in splits.items()
    )
    return train, test, provenance


def size_hint(dataset: TinyImagenetDataset, root: Path) -> Size:
    """The official size."""
    return official(100_000, 10_000, own_files=dataset.sha256 is not None)


def _folder(path: Path) -> _Tree:
    """The unpacked dataset, from its own folder or the parent of that."""
    path = path / FOLDER if (path / FOLDER).is_dir() else path

    @contextmanager
    def reading() -> Iterator[Content]:
        yield lambda name, require: file_content(path / name, require)

    found = (file for file in path.rglob("*") if not ignored(file.name) and not file.is_dir())
    return _Tree(path, sorted(file.relative_to(path).as_posix() for file in found), reading)


def _zip(path: Path) -> _Tree:
    @contextmanager
    def reading() -> Iterator[Content]:
        with zipfile.ZipFile(path) as archive:

            def content(name: str, require: Require) -> bytes:
                about = archive.getinfo(f"{FOLDER}/{name}")
                require(about.file_size, f"{path}, {name}")
                if about.compress_type not in METHODS:
                    raise UserError(f"{path}, {name}: compressed by method {about.compress_type}, not deflated")
                try:
                    with archive.open(about) as file:
                        return file.read(about.file_size + 1)  # without a number, it would unpack all that there is
                except DAMAGE as error:
                    raise UserError(f"{path}, {name}: damaged in the archive ({error})") from error

            yield content

    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except DAMAGE as error:
        raise UserError(f"{path}: truncated, or not a zip archive ({error})") from error
    beginning = f"{FOLDER}/"
    names = [name.removeprefix(beginning) for name in members if name.startswith(beginning)]
    return _Tree(path, sorted(name for name in names if name and not name.endswith("/")), reading)


def _lines(tree: _Tree, name: str) -> list[str]:
    """The lines of a text file of the dataset."""
    if name not in tree.names:
        raise UserError(f"{tree.where}: it contains no file {name}; its files must be those of {ARCHIVE}")
    with tree.reading() as content:
        return content(name, _require_text).decode(errors="replace").splitlines()


def _require_text(size: int, where: str) -> None:
    """Make sure that a text file is not too large to be read."""
    if size > TEXT_LIMIT:
        raise UserError(
            f"{where}: {size:,} bytes, more than the {TEXT_LIMIT:,} that a text file of the dataset may have"
        )


def _check_classes(tree: _Tree, classes: list[str]) -> None:
    """Make sure that the described classes are those of the dataset, in WordNet's order; its own file is in none."""
    wnids = _lines(tree, "wnids.txt")
    for wnid in wnids:
        if wnid not in classes:
            raise UserError(f"{tree.where}: its class {wnid!r} is not among the classes")
    for name in classes:
        if name not in wnids:
            raise UserError(f"{tree.where}: class {name!r} is not in its wnids.txt")
    class_names.require_wordnet_order(classes, str(tree.where))


def _train(tree: _Tree, classes: list[str]) -> list[tuple[str, int]]:
    """The training images and their labels: by label, then by name."""
    found: dict[str, list[str]] = {name: [] for name in classes}
    for name in tree.names:
        match name.split("/"):
            case ["train", wnid, "images", _]:
                if wnid not in found:
                    raise UserError(f"{tree.where}: train/{wnid} is not the folder of a class in its wnids.txt")
                found[wnid].append(name)
    missing = [wnid for wnid, names in found.items() if not names]
    if missing:
        raise UserError(f"{tree.where}: no images in train/{missing[0]}/images; its files must be those of {ARCHIVE}")
    return [(name, label) for label, wnid in enumerate(classes) for name in found[wnid]]


def _val(tree: _Tree, classes: list[str]) -> list[tuple[str, int]]:
    """The val images and their labels, in the order of the annotations."""
    images = {name for name in tree.names if name.startswith("val/images/")}
    found = {}
    for number, line in enumerate(_lines(tree, ANNOTATIONS), start=1):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in classes:
            raise UserError(f"{tree.where}, {ANNOTATIONS}, line {number}: {wnid!r} is not a class")
        found[f"val/images/{name}"] = classes.index(wnid)
    for name in sorted(images ^ found.keys()):
        fault = "it has no annotation" if name in images else "it is missing"
        raise UserError(f"{tree.where}, {name}: {fault}")
    return list(found.items())


def _stream(tree: _Tree, images: list[tuple[str, int]], where: str, fit: Fit) -> Stream:
    def chunks() -> Iterator[Array]:
        with tree.reading() as content:
            encoded: Iterator[Encoded] = (
                (f"{tree.where}, {name}", partial(content, name, fit.require_bytes)) for name, _ in images
            )
            yield from decoded(encoded, len(images), where, fit)

    return Stream(where, np.array([label for _, label in images], np.int64), chunks)
