"""Whether a release is complete and as it says, wherever it lies, with nothing else at hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from unlearnable import files
from unlearnable.bounds import Bound
from unlearnable.datasets import released
from unlearnable.datasets.native import decode_native, require_alike
from unlearnable.datasets.parquet import parquet_metadata
from unlearnable.datasets.readers._decoding import FILE_EXTRA, FILE_PIXEL
from unlearnable.datasets.settings import IMAGE_PIXELS
from unlearnable.errors import UserError
from unlearnable.owners.structure import LEFT_BY_SYSTEMS

ABOUT_LIMIT = 2**24  # bytes
IMAGE_LIMIT = FILE_PIXEL * IMAGE_PIXELS + FILE_EXTRA  # bytes


def faults(folder: Path, originals: Path | None = None) -> Iterator[str]:
    """One line for everything that is wrong with a release.

    Args:
        folder: the release.
        originals: the owner's folder that it was made from, to measure the changes again; None to trust the list.

    Raises:
        UserError: it is no release.
    """
    for name in (released.SUMS, released.LIST, released.ABOUT):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: no such file, so this is no complete release")
    sums = released.read_sums(folder / released.SUMS)
    for name, expected in sums.items():
        damage = files.damage(folder / name, expected)
        if damage is not None:
            yield f"{folder / name}: {damage}"
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.is_dir() and not _left_by_systems(path.relative_to(folder))
    }
    for name in sorted(present - sums.keys() - {released.SUMS}):
        yield f"{folder / name}: not listed in {released.SUMS}"
    listed = released.read_list(folder / released.LIST)
    about = json.loads(files.read_whole(folder / released.ABOUT, ABOUT_LIMIT))
    yield from _counts(folder, listed, about, sums)
    yield from _changes(folder, listed, about)
    if originals is not None:
        for each in listed:
            yield from _measured(folder, each, originals, about)


def _left_by_systems(path: Path) -> bool:
    return any(part.startswith("._") or part in (".DS_Store", *LEFT_BY_SYSTEMS) for part in path.parts)


def _counts(folder: Path, listed: list[released.Listed], about: dict[str, Any], sums: dict[str, str]) -> Iterator[str]:
    """Images, list, Parquet and statement must be of the same images."""
    where = folder / released.LIST
    counts = Counter(each.label for each in listed)
    if dict(counts) != about["classes"] or len(listed) != about["images"]:
        yield f"{where}: {len(listed)} images of {len(counts)} classes are not those that {released.ABOUT} states"
    images = {name.removeprefix(f"{released.IMAGES}/"): found for name, found in sums.items() if _is_image(name)}
    if images != {each.file: each.sha256 for each in listed}:
        yield f"{where}: its files and checksums are not those of {released.SUMS}"
    parts = [folder / name for name in sums if name.startswith(f"{released.PARQUET}/")]
    try:
        rows = sum(parquet_metadata(path).num_rows for path in parts)
        labels = [label for path in parts for label in pq.read_table(path, columns=["label"])["label"].to_pylist()]
    except (UserError, ValueError, OSError) as error:
        yield str(error)
        return
    if rows != len(listed) or [list(about["classes"])[label] for label in labels] != [each.label for each in listed]:
        yield f"{folder / released.PARQUET}: {rows} images, or their labels, are not those of {released.LIST}"


def _is_image(name: str) -> bool:
    return name.startswith(f"{released.IMAGES}/")


def _changes(folder: Path, listed: list[released.Listed], about: dict[str, Any]) -> Iterator[str]:
    """The listed changes must keep to the stated bound."""
    bound = Bound(**about["bound"])
    if not about["bound_holds"]:
        return
    for each in listed:
        if each.largest_change > bound.radius:
            yield f"{folder / released.LIST}: {each.file}: a change of {each.largest_change} is beyond {bound}"


def _measured(folder: Path, each: released.Listed, originals: Path, about: dict[str, Any]) -> Iterator[str]:
    """An image must differ from its original as listed."""
    path = folder / released.IMAGES / each.file
    try:
        source = released.original_of(each.file, originals)
        image = decode_native(files.read_whole(source, IMAGE_LIMIT), str(source))
        written = decode_native(files.read_whole(path, IMAGE_LIMIT), str(path))
        require_alike(written, image, str(path))
    except (UserError, OSError) as error:
        yield str(error)
        return
    change = int(np.abs(written.colour.astype(np.int16) - image.colour).max(initial=0))
    if change != each.largest_change:
        yield f"{path}: differs from its original by {change}, not by {each.largest_change} as listed"
    if about["bound_holds"] and change > about["bound"]["radius"]:
        yield f"{path}: a change of {change} is beyond {Bound(**about['bound'])}"
