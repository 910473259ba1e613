"""From the values in a file to noise in whole grey levels, checked against the training images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unlearnable import files
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.noises.given.formats import ENCODED, Opened
from unlearnable.noises.given.settings import Given

SCALES = {"levels": (1.0, 0.0), "unit": (255.0, 0.0), "signed-unit": (127.5, 1.0)}  # levels = scale * (value + shift)
FLOATS = ("float16", "bfloat16", "float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
NAMED = 3  # rows named in a message
FAR = 1000.0  # grey levels, beyond any noise


@dataclass
class Beyond:
    """Rows whose noise exceeds the bound.

    Attributes:
        count: their number.
        first: of the first few, the row and the size of its noise.
    """

    count: int = 0
    first: list[tuple[int, float]] = field(default_factory=list)

    def add(self, rows: Array, sizes: Array) -> None:
        """Add some rows, ``(n,)``, with their sizes."""
        self.count += len(rows)
        left = NAMED - len(self.first)
        self.first += list(zip(rows[:left].tolist(), sizes[:left].tolist(), strict=True))


def in_levels(settings: Given, found: Opened, train: Split, folder: Path) -> Array:
    """The noise in whole grey levels, in the order of the training images or of the classes.

    Values are rounded to whole grey levels, as protected images are when they are stored.

    Args:
        settings: what the file is said to hold.
        found: the array in it.
        train: the training images; protected images must be theirs, in their order unless the file has an index.
        folder: for a file without a name that holds the noise until the array is gone.

    Returns:
        ``(N or classes, H, W, C)``, int8 or int16, mapped into memory.

    Raises:
        UserError: shape, count or kind of values are not as stated, values are not finite or outside their unit, rows
            exceed the bound, protected images are not those of ``train``, or the noise is zero everywhere.
    """
    height, width, channels = train.images.shape[1:]
    count = len(train.classes) if settings.per == "class" else len(train.labels)
    axes = _axes(settings, found, (count, height, width, channels))
    _require_kind(settings, found)
    rows = _rows(settings, found, train, count)
    bound = settings.bound(0, (height, width, channels))
    shape, dtype = (count, height, width, channels), np.dtype(bound.dtype)
    beyond, changed, done = Beyond(), False, 0
    with files.naming_disk_faults(folder / "noise"), tempfile.TemporaryFile(dir=folder) as file:
        for values in found.pieces():
            of_piece = rows[done : done + len(values)]
            levels = _levels(settings, found, values.reshape(len(values), *found.shape[1:]), of_piece)
            levels = levels.transpose(axes) if levels.ndim == 4 else levels[..., None]
            if settings.content == "images":
                levels = levels - train.images[of_piece]
            sizes = bound.sizes(levels)
            over = np.flatnonzero(sizes > bound.allowed(shape[1:]) + 1e-9)
            beyond.add(of_piece[over], sizes[over])
            changed = changed or bool(levels.any())
            for row, content in _runs(of_piece, levels.astype(dtype)):
                file.seek(row * content[0].nbytes)
                file.write(content.tobytes())
            done += len(values)
        file.flush()
        if beyond.count:
            raise UserError(_beyond(settings, found, beyond, str(bound)))
        if not changed:
            raise UserError(
                f"{found.where}: the noise is zero everywhere once it is in whole grey levels; is its unit "
                f"{settings.unit}?"
            )
        return np.memmap(file, dtype, "r", shape=shape).view(np.ndarray)


def _what(settings: Given, row: int) -> str:
    return f"class {row}" if settings.per == "class" else f"image {row}"


def _axes(settings: Given, found: Opened, wanted: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """How to transpose rows of four axes to (N, H, W, C), which the shape says, as images are larger than 3 pixels."""
    count, height, width, channels = wanted
    last, first = wanted[1:], (channels, height, width)
    if found.shape[1:] not in (last, first, *([(height, width)] if channels == 1 else [])):
        raise UserError(
            f"{found.where}: shape {found.shape} does not fit; it must be {wanted}, or {(count, *first)} with the "
            "channels first"
        )
    if found.shape[0] != count:
        of = "one for each class" if settings.per == "class" else "one for each training image that the dataset stores"
        raise UserError(f"{found.where}: {found.shape[0]} {settings.content}, but {count} are needed, {of}")
    return (0, 1, 2, 3) if found.shape[1:] == last else (0, 2, 3, 1)


def _require_kind(settings: Given, found: Opened) -> None:
    """The type of the values must be one that can hold what is stated."""
    kinds: tuple[str, ...] = ("levels",)
    if found.dtype == ENCODED:
        if settings.content == "noise":
            raise UserError(
                f"{found.where}: PNG and Parquet hold images in 0..255, which cannot be noise; set content: images, or "
                "store the noise as .npy"
            )
    elif found.dtype in FLOATS:
        kinds = ("levels", "unit", "signed-unit")
    elif found.dtype in UNSIGNED and settings.content == "noise":
        raise UserError(f"{found.where}: {found.dtype} has no negative values, so it cannot be noise; save it as int16")
    elif found.dtype not in (*SIGNED, *UNSIGNED):
        raise UserError(f"{found.where}: holds {found.dtype}, not whole numbers or floats")
    if settings.unit not in kinds:
        raise UserError(f"{found.where}: holds {found.dtype}, which are whole grey levels; set unit: levels")


def _rows(settings: Given, found: Opened, train: Split, count: int) -> Array:
    """The training image, or class, of each row of the file, after a check of its own index and labels."""
    rows = np.arange(count) if found.index is None else found.index
    if found.index is not None and not np.array_equal(np.sort(rows), np.arange(count)):
        raise UserError(f"{found.where}: its column index must name each row of 0..{count - 1} once")
    if found.labels is not None and settings.per == "image":
        other = np.flatnonzero(found.labels != train.labels[rows])
        if other.size:
            first = rows[other[:NAMED]]
            told = ", ".join(
                f"image {row} is {theirs}, not {train.labels[row]}"
                for row, theirs in zip(first, found.labels[other[:NAMED]], strict=True)
            )
            raise UserError(f"{found.where}: {len(other)} labels differ from the dataset's: {told}{_more(other)}")
    return rows


def _more(rows: Array) -> str:
    return f", and {len(rows) - NAMED} more" if len(rows) > NAMED else ""


def _levels(settings: Given, found: Opened, values: Array, rows: Array) -> Array:
    """Values as int16 grey levels."""
    scale, shift = SCALES[settings.unit]
    with np.errstate(over="ignore"):  # to infinity, which is found below
        floats = values.astype(np.float64)
        levels = np.rint(scale * (floats + (shift if settings.content == "images" else 0.0)))
    flat = levels.reshape(len(levels), -1)
    odd = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if odd.size:
        raise UserError(f"{found.where}: {_what(settings, rows[odd[0]])} has a value that is not finite")
    if settings.content == "images":
        outside = np.flatnonzero((flat.min(axis=1) < 0) | (flat.max(axis=1) > 255))
        if outside.size:
            row = floats[outside[0]]
            raise UserError(
                f"{found.where}: {_what(settings, rows[outside[0]])} has values from {row.min():g} to {row.max():g}, "
                f"outside those of unit: {settings.unit}; state the unit in which it was saved"
            )
    return levels.clip(-FAR, FAR).astype(np.int16)


def _runs(rows: Array, levels: Array) -> Iterator[tuple[int, Array]]:
    """Consecutive rows together, each with the first of them."""
    for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
        yield int(rows[part[0]]), levels[part]


def _beyond(settings: Given, found: Opened, beyond: Beyond, bound: str) -> str:
    """The message about rows beyond the bound."""
    first = ", ".join(f"{_what(settings, row)} by {size:.4g}" for row, size in beyond.first)
    more = f", and {beyond.count - NAMED} more" if beyond.count > NAMED else ""
    if settings.content == "noise":
        return (
            f"{found.where}: noise beyond its bound, {bound}: {first}{more}; state its radius, or the unit in which it "
            f"was saved in place of {settings.unit}"
        )
    return (
        f"{found.where}: images differ from the dataset's training images beyond the bound, {bound}: {first}{more}; "
        "they must be the same images in the same order, in the stated unit and within the stated radius"
    )
