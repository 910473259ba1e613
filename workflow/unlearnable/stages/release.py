"""The release stage: an owner's own files with noise, at their own size, to hand out."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import os
import shutil
import time
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable import files
from unlearnable.datasets import released, shards
from unlearnable.datasets.native import add, carried, decode_native, encode_native, require_alike
from unlearnable.datasets.protected import read_noise
from unlearnable.datasets.readers._decoding import Fit, file_content, pixels
from unlearnable.datasets.readers.listed.index import Row, read_index
from unlearnable.datasets.readers.listed.settings import ListedDataset
from unlearnable.datasets.released import Listed
from unlearnable.datasets.similarity import Similarity, remaining, similarity
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError
from unlearnable.progress import Meter, peak_memory_of_process
from unlearnable.recipe import BY_HAND, Made
from unlearnable.settings import plain
from unlearnable.stages.card import card
from unlearnable.stages.settings.release import ReleaseSettings

log = logging.getLogger(__name__)
GROUP_BYTES, GROUP_ROWS = 2**26, 1000  # of a row group in Parquet
FILE_GROUPS = 8  # row groups in a Parquet file
FEWEST_LEFT = 0.7  # share of an image's noise that must be left after JPEG
SAMPLED = 5  # images of each class, the first ones, whose similarity and survival are measured


@dataclass(frozen=True)
class Image:
    """One released image.

    Attributes:
        data: its file.
        kind: its format, by Pillow's name.
        largest_change: of any value, in grey levels.
        psnr: in decibels.
        converted: the mode or format of its original, if that could not be kept; None if it was.
        survival: share of its noise that is left after JPEG; None for a lossless file.
        sample: its similarity to the original, and what else would be left of its noise; None if that is not measured.
    """

    data: bytes
    kind: str
    largest_change: int
    psnr: float
    converted: str | None
    survival: float | None
    sample: Similarity | None


def release(
    settings: ReleaseSettings,
    root: Path,
    source: Path,
    noise: Path,
    into: Path,
    manifest: Path,
    metrics: Path,
    threads: int = 1,
    *,
    made: Made = BY_HAND,
) -> None:
    """Write a release: a folder with every training image under its own name, with its noise.

    It is written into a hidden folder beside, and renamed once it is complete.

    Args:
        settings: of the release.
        root: base folder of relative paths in the dataset's description.
        source: folder of the dataset as it is stored for training.
        noise: folder of its merged noise.
        into: folder to write.
        manifest: JSON file to write, which is not handed out: what was converted, settings.
        metrics: JSON file to write: seconds, memory.
        threads: number of images to work on at a time.
        made: what the release is made with.

    Raises:
        UserError: an image has changed since the noise was made, its file cannot be used or written, a lossless file
            exceeds the bound, or too little noise is left in a JPEG.
    """
    started = time.monotonic()
    dataset = settings.dataset
    if not isinstance(dataset, ListedDataset):
        raise UserError(f"{settings.name}: a release needs a dataset of the kind listed, not {dataset.kind}")
    rows = [row for row in read_index(dataset, root) if "train" in row.splits]
    train = shards.load(source, "train")
    levels = read_noise(noise, source)[1]
    if len(rows) != len(levels):
        raise UserError(f"{dataset.index}: {len(rows)} images, but the noise is of {len(levels)}; run the study again")
    into.mkdir(parents=True, exist_ok=True)
    if not any(into.iterdir()):
        into.rmdir()  # made by Snakemake; nothing is there before the release is complete
    with files.naming_disk_faults(into), replacing(into) as folder:
        content = _Content(folder, dataset.classes, settings, {row.file for row in rows})
        make = partial(_image, settings, dataset, root / dataset.root)
        stored = (train.images[row : row + 1][0] for row in range(len(rows)))
        jobs = zip(rows, stored, levels, _sampled(rows), strict=True)
        meter = Meter("image", len(rows), 1, "cpu")
        with ThreadPoolExecutor(threads, "images") as pool:
            for done, (row, image) in enumerate(_in_order(pool, make, jobs, 2 * threads), start=1):
                content.add(row, image)
                meter.at(done, "into the release")
        about = content.finish()
    hashes = {os.path.relpath(into / released.SUMS, manifest.parent): files.sha256(into / released.SUMS)}
    converted = {row.file: had for row, had in content.converted}
    files.write_json(
        manifest, about | {"converted": converted, files.HASHES: hashes, "config": plain(settings), **made}
    )
    files.write_json(
        metrics,
        {"seconds": time.monotonic() - started, "peak_memory_bytes": peak_memory_of_process(), **made},
    )
    log.info("%s: %d images, largest change %d/255", into, len(rows), about["largest_change"])


def _in_order(
    pool: ThreadPoolExecutor, make: Any, jobs: Iterator[tuple[Row, Array, Array, bool]], ahead: int
) -> Iterator[tuple[Row, Image]]:
    """The results of jobs in order, of which only some are in memory."""
    waiting: deque[tuple[Row, Future[Image]]] = deque()
    for row, stored, noise, sampled in jobs:
        waiting.append((row, pool.submit(make, row, stored, np.array(noise), sampled)))
        if len(waiting) == ahead:
            first, future = waiting.popleft()
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


def _sampled(rows: Sequence[Row]) -> Iterator[bool]:
    """Whether each of the images is among the first of its class."""
    seen: Counter[int] = Counter()
    for row in rows:
        seen[row.label] += 1
        yield seen[row.label] <= SAMPLED


def _image(
    settings: ReleaseSettings,
    dataset: ListedDataset,
    folder: Path,
    row: Row,
    stored: Array,
    noise: Array,
    sampled: bool,
) -> Image:
    """One image with its noise.

    Args:
        settings: of the release.
        dataset: the owner's images.
        folder: that files are named from.
        row: the image.
        stored: ``(h, w, c)`` uint8, as its noise was made for it.
        noise: ``(h, w, c)`` signed whole grey levels.
        sampled: whether to measure its similarity and what else would be left of its noise.
    """
    where = str(folder / row.file)
    fit = Fit.of(dataset, resize=True)
    try:
        data = file_content(folder / row.file, fit.require_bytes)
    except OSError as error:
        raise UserError(f"{where}: not readable ({error.strerror or error})") from error
    if not np.array_equal(pixels(data, where, fit), stored):
        raise UserError(f"{where}: has changed since its noise was made; restore it, or protect it under another name")
    image = decode_native(data, where)
    height, width, channels = image.colour.shape
    wanted = carried(noise, (width, height), channels)
    colour = add(image, wanted)
    kind = image.format if settings.format == "same" and image.format in released.KEPT_FORMATS else "PNG"
    encoded = encode_native(image, colour, kind, settings.metadata == "keep")
    written = decode_native(encoded, where)
    require_alike(written, image, where)
    change = written.colour.astype(np.int16) - image.colour
    survival = None
    if kind == "JPEG":
        survival = remaining(change, colour.astype(np.int16) - image.colour)
    elif settings.bound.exceeded_by(change[None]) is not None:
        raise UserError(f"{where}: a change of {np.abs(change).max()} is beyond the bound, {settings.bound}")
    changed = [image.mode] if image.mode != image.kept_mode else []
    changed += [image.format] if settings.format == "same" and kind != image.format else []
    squares = float(np.square(change, dtype=np.int32).mean())
    psnr = 10 * math.log10(255**2 / squares) if squares else math.inf
    sample = similarity(image.colour, written.colour) if sampled else None
    return Image(encoded, kind, int(np.abs(change).max(initial=0)), psnr, ", ".join(changed) or None, survival, sample)


class _Content:
    """The files of a release, written image by image."""

    def __init__(self, folder: Path, classes: list[str], settings: ReleaseSettings, originals: Collection[str]) -> None:
        self._folder, self._classes, self._settings = folder, classes, settings
        self._listed: list[Listed] = []
        self._weak: list[tuple[str, float]] = []
        self._survival: list[float] = []
        self.converted: list[tuple[Row, str]] = []
        self._originals = originals
        self._parquet = _Parquet(folder / released.PARQUET, classes)

    def add(self, row: Row, image: Image) -> None:
        """Write an image."""
        name = released.released_name(row.file, image.kind, self._originals)
        path = self._folder / released.IMAGES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.write(image.data)
            file.flush()
            os.fsync(file.fileno())
        self._parquet.add(image.data, name, row.label)
        measured = [f"{image.psnr:.2f}", *([""] * 4 if image.sample is None else image.sample.written())]
        found = hashlib.sha256(image.data).hexdigest()
        self._listed.append(Listed(name, self._classes[row.label], found, image.largest_change, *measured))
        if image.converted:
            self.converted.append((row, image.converted))
        if image.survival is not None:
            self._survival.append(image.survival)
            if image.survival < FEWEST_LEFT:
                self._weak.append((row.file, image.survival))

    def finish(self) -> dict[str, Any]:
        """Write everything else; returns what ``release.json`` states.

        Raises:
            UserError: too little noise is left in some JPEGs.
        """
        if self._weak:
            file, left = min(self._weak, key=lambda each: each[1])
            raise UserError(
                f"{len(self._weak)} JPEG images keep less than {FEWEST_LEFT:.0%} of their noise, least {file} with "
                f"{left:.0%}; use format: png or a larger radius"
            )
        self._parquet.close()
        counts = Counter(listed.label for listed in self._listed)
        largest = max(listed.largest_change for listed in self._listed)
        survival = min(self._survival, default=None)
        about = {
            "name": self._settings.name,
            "images": len(self._listed),
            "classes": {name: counts[name] for name in self._classes},
            "bound": self._settings.bound.plain(),
            "bound_holds": survival is None,
            "largest_change": largest,
            "smallest_share_of_noise_in_jpeg": survival,
        }
        text = io.StringIO()
        released.write_list(text, self._listed)
        self._write(released.LIST, text.getvalue())
        self._write(released.ABOUT, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
        self._write(released.CARD, card(self._settings, list(counts.items()), largest, survival))
        of_images = {f"{released.IMAGES}/{listed.file}": listed.sha256 for listed in self._listed}
        others = [released.LIST, released.ABOUT, released.CARD, *self._parquet.names]
        sums = of_images | {name: files.sha256(self._folder / name) for name in others}
        self._write(released.SUMS, "".join(released.sums_line(found, name) for name, found in sums.items()))
        return about

    def _write(self, name: str, text: str) -> None:
        with files.atomic(self._folder / name) as file:
            file.write(text.encode())


class _Parquet:
    """Parquet files with the images, of which one row group is in memory."""

    def __init__(self, folder: Path, classes: list[str]) -> None:
        self._folder, self._schema = folder, released.schema(classes)
        self._rows: list[tuple[bytes, str, int]] = []
        self._bytes = self._groups = 0
        self._writer: pq.ParquetWriter | None = None
        self.names: list[str] = []

    def add(self, data: bytes, name: str, label: int) -> None:
        """Append an image."""
        self._rows.append((data, name, label))
        self._bytes += len(data)
        if self._bytes >= GROUP_BYTES or len(self._rows) >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        if self._rows:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if self._writer is None or self._groups == FILE_GROUPS:
            if self._writer is not None:
                self._writer.close()
            name = f"{released.PARQUET}/train-{len(self.names):05d}.parquet"
            self._folder.mkdir(exist_ok=True)
            self._writer = pq.ParquetWriter(self._folder.parent / name, self._schema, compression="none")
            self._groups = 0
            self.names.append(name)
        images = [{"bytes": data, "path": name} for data, name, _ in self._rows]
        columns = [pa.array(images, self._schema.field("image").type), [label for _, _, label in self._rows]]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows, self._bytes = [], 0
        self._groups += 1


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A hidden folder beside ``folder``, which takes its place once everything in it is written.

    What a killed process left in it is removed.
    """
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        if folder.exists():
            old = folder.with_name(f".{folder.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
            files.rename(beside, folder)
            shutil.rmtree(old)
        else:
            files.rename(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
