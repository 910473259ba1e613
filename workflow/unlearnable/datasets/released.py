"""The folder of a release: which files it has, and how they are listed.

``images/`` holds the images under their own paths, ``images.csv`` lists them, ``parquet/`` holds them for programs,
``release.json`` states the bound and the counts, ``README.md`` is for people, and ``SHA256SUMS`` lists all others.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa

from unlearnable import files
from unlearnable.errors import UserError

IMAGES, LIST, PARQUET, ABOUT, CARD, SUMS = "images", "images.csv", "parquet", "release.json", "README.md", "SHA256SUMS"
KEPT_FORMATS = ("JPEG", "PNG", "WEBP")  # of the format "same"; others become PNG
LIST_LIMIT = 2**30  # bytes of a list of images or sums


class Listed(NamedTuple):
    """One image in ``images.csv``.

    Attributes:
        file: its path below ``images``.
        label: name of its class.
        sha256: of its file.
        largest_change: of any of its values, in grey levels.
        psnr: peak signal-to-noise ratio, in decibels; ``inf`` if nothing changed.
        ssim: structural similarity to its original; of the first images of each class, as all that follows.
        left_jpeg90: share of its noise that is left after JPEG compression at quality 90.
        left_jpeg75: the same at quality 75.
        left_half: the same after scaling to half the height and width.
    """

    file: str
    label: str
    sha256: str
    largest_change: int
    psnr: str
    ssim: str = ""
    left_jpeg90: str = ""
    left_jpeg75: str = ""
    left_half: str = ""


def released_name(original: str, kind: str, originals: Collection[str]) -> str:
    """The name of a released file: the original's own, with ``.png`` added if it became a PNG.

    Args:
        original: name of the original.
        kind: format of the released file, by Pillow's name; a PNG is called ``.png`` in any case.
        originals: names of all originals, none of which is given to another file.
    """
    if kind != "PNG" or original.lower().endswith(".png"):
        return original
    name = f"{original}.png"
    while name in originals:
        name += ".png"
    return name


def original_of(file: str, originals: Path) -> Path:
    """The original that a released file was made from.

    Raises:
        UserError: there is none.
    """
    names = [file]
    while names[-1].lower().endswith(".png"):
        names.append(names[-1][: -len(".png")])
    present = [name for name in names if (originals / name).is_file()]
    for name in present:
        if name == file or released_name(name, "PNG", present) == file:
            return originals / name
    raise UserError(f"{originals / file}: there is no such original, nor one without .png at the end")


def write_list(file: IO[str], rows: Iterable[Listed]) -> None:
    """Write ``images.csv``."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Listed._fields)
    writer.writerows(rows)


def read_list(path: Path) -> list[Listed]:
    """Read ``images.csv``.

    Raises:
        UserError: it is not such a file.
    """
    text = files.read_whole(path, LIST_LIMIT).decode("utf-8", "replace")
    rows = list(csv.reader(text.splitlines()))
    if not rows or tuple(rows[0]) != Listed._fields:
        raise UserError(f"{path}: is no list of a release; its first line must be {','.join(Listed._fields)}")
    try:
        return [Listed(row[0], row[1], row[2], int(row[3]), *row[4:]) for row in rows[1:]]
    except (IndexError, ValueError, TypeError) as error:
        raise UserError(f"{path}: a damaged line ({error})") from error


def sums_line(sha256: str, name: str) -> str:
    """A line of ``SHA256SUMS`` as ``sha256sum`` writes it."""
    escaped = name.replace("\\", "\\\\")
    return f"{'' if escaped == name else chr(92)}{sha256}  {escaped}\n"


def read_sums(path: Path) -> dict[str, str]:
    """The SHA-256 of files by name, from ``SHA256SUMS``.

    Raises:
        UserError: a line is not one that ``sha256sum`` writes.
    """
    found = {}
    for number, line in enumerate(files.read_whole(path, LIST_LIMIT).decode("utf-8", "replace").split("\n"), start=1):
        if not line:
            continue
        escaped = line.startswith("\\")
        digest, _, name = line.removeprefix("\\").partition("  ")
        if len(digest) != 64 or not name:
            raise UserError(f"{path}:{number}: not a line of sha256sum")
        found[name.replace("\\\\", "\\") if escaped else name] = digest
    return found


def schema(classes: list[str]) -> pa.Schema:
    """Columns of the Parquet files, with metadata by which ``datasets`` shows images and class names."""
    features = {"image": {"_type": "Image"}, "label": {"names": classes, "_type": "ClassLabel"}}
    fields = [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())]
    metadata = {
        "huggingface": json.dumps({"info": {"features": features}}),
        "PANDAS_ATTRS": json.dumps({"classes": classes}),
    }
    return pa.schema(fields, metadata=metadata)
