"""A dataset as the pipeline stores it: uint8 NHWC shards, labels, and a manifest with their checksums."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from unlearnable import arrays, files
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import Stream, of_split
from unlearnable.errors import UserError
from unlearnable.files import digest
from unlearnable.progress import passing

LABELS = "labels.npy"


class Sharded:
    """``(N, H, W, C)`` images stored in several consecutive arrays, which may be memory maps."""

    def __init__(self, parts: list[Array]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        """N."""
        return self.shape[0]

    def __getitem__(self, rows: slice | Array) -> Array:
        """A copy of the images of a slice without a step, or of row numbers in any order.

        Raises:
            IndexError: there is no such row.
            TypeError: ``rows`` are not row numbers but, for example, a mask.
        """
        if isinstance(rows, slice):
            return self._range(*rows.indices(len(self)))
        if rows.dtype.kind not in "iu":
            raise TypeError(f"rows must be whole numbers, not {rows.dtype}")
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} are not all among 0..{len(self) - 1}")
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        within = rows - self._starts[shards]
        chosen = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, (shard, row) in enumerate(zip(shards.tolist(), within.tolist(), strict=True)):
            chosen[place] = self._parts[shard][row]  # copies every image once; an index array would copy it twice
        return chosen

    def _range(self, start: int, stop: int, step: int) -> Array:
        if step != 1:
            raise TypeError(f"a slice of shards has no step, and this one has {step}")
        chosen = np.empty((max(0, stop - start), *self.shape[1:]), np.uint8)
        for part, first in zip(self._parts, self._starts[:-1].tolist(), strict=True):
            low, high = max(start, first), min(stop, first + len(part))
            if low < high:
                chosen[low - start : high - start] = part[low - first : high - first]
        return chosen


def write(folder: Path, source: Stream | Split, rows_per_shard: int) -> tuple[tuple[int, ...], dict[str, str]]:
    """Write labels, and images as they arrive, into ``folder``.

    Returns:
        The images' shape ``(N, H, W, C)``, and the files' SHA-256 by path relative to the parent of ``folder``, where
        the manifest will be.

    Raises:
        UserError: there are no images, the disk is full, or ``source`` raises one.
        ValueError: there are more or fewer images than labels, or not all images are uint8 of one shape.
    """
    stream = of_split(source, str(folder)) if isinstance(source, Split) else source
    rows = len(stream.labels)
    pieces = _cut(passing(stream.chunks(), rows, f"into {folder.name}"), rows_per_shard)
    first = next(pieces, None)
    if first is None:
        raise UserError(f"{stream.where}: there are no images")
    shape = first.shape[1:]
    pieces = chain([first], pieces)
    hashes = {}
    for number, start in enumerate(range(0, rows, rows_per_shard)):
        name = f"{folder.name}/images-{number:05d}.npy"
        size = min(rows_per_shard, rows - start)
        with arrays.stream_array(folder.parent / name, (size, *shape), np.uint8) as file:
            while file.rows < size and (piece := next(pieces, None)) is not None:
                file.write(piece)
        hashes[name] = file.sha256
    if next(pieces, None) is not None:
        raise ValueError(f"{stream.where}: there are more images than the {rows} labels")
    hashes[f"{folder.name}/{LABELS}"] = arrays.write_array(folder / LABELS, stream.labels)
    return (rows, *shape), hashes


def _cut(chunks: Iterator[Array], rows_per_shard: int) -> Iterator[Array]:
    """The same images, in pieces that do not cross shards."""
    done = 0
    for chunk in chunks:
        while len(chunk):
            piece, chunk = np.split(chunk, [rows_per_shard - done % rows_per_shard])
            done += len(piece)
            yield piece


def read(manifest: Path, part: str) -> Split:
    """The split written by ``write`` into the folder ``part`` beside a manifest; its images are mapped into memory.

    Raises:
        UserError: the manifest or a file is damaged, or a file is missing.
    """
    content = files.read_json(manifest)
    paths = [manifest.parent / name for name in content[files.HASHES] if name.startswith(f"{part}/")]
    files.check_files(manifest, *paths)
    shards = [arrays.map_array(path) for path in paths if path.name != LABELS]
    return Split(Sharded(shards), arrays.read_array(manifest.parent / part / LABELS), content["classes"])


def load(folder: str | Path, split: Literal["train", "test"]) -> Split:
    """Read one split of the dataset stored in ``folder``."""
    return read(Path(folder, "manifest.json"), split)


def identity(folder: str | Path) -> str:
    """A hash of the training images and labels, by which a noise is matched to its dataset."""
    hashes = files.read_json(Path(folder, "manifest.json"))[files.HASHES]
    return digest({name: found for name, found in hashes.items() if name.startswith("train/")})
