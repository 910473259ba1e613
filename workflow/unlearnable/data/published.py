"""The perturbed stage: the dataset as it is published, and as victims read it."""

from __future__ import annotations

import json
import logging
import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unlearnable import files
from unlearnable.bounds import Bound
from unlearnable.data import dataset, shards
from unlearnable.data.encoded import MODES, Mapping, decode, encode, mapping, parquet_batches
from unlearnable.data.images import Array, Chosen, Images, Split, stratified_order
from unlearnable.data.streams import chunk_rows
from unlearnable.errors import UserError
from unlearnable.progress import Meter
from unlearnable.randomness import numpy_generator
from unlearnable.settings.perturbed import Perturbed
from unlearnable.usage import peak_memory_of_process

log = logging.getLogger(__name__)

ROW_GROUP = 1000  # images in a row group of the Parquet files


def protected_rows(labels: Array, percent: int, seed: int) -> Array:
    """Which images are protected, as ``(N,)`` bool: class-balanced, and nested for growing ``percent``."""
    order = stratified_order(labels, numpy_generator(seed, "protected"))
    protected = np.zeros(len(labels), bool)
    protected[order[: round(len(labels) * percent / 100)]] = True
    return protected


def apply_noise(images: Array, noise: Array, protected: Array) -> Array:
    """``clip(x + d, 0, 255)`` for the protected images, x for the others.

    Args:
        images: ``(N, H, W, C)`` uint8.
        noise: ``(N, H, W, C)`` signed whole grey levels.
        protected: ``(N,)`` bool.
    """
    d = np.where(protected[:, None, None, None], noise, 0)
    return np.clip(images.astype(np.int16) + d, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Noisy:
    """Images with noise in some of them, which is added as they are asked for.

    Attributes:
        images: ``(N, H, W, C)`` uint8.
        noise: ``(N, H, W, C)`` signed whole grey levels; may be a memory map.
        protected: ``(N,)`` bool, which images carry their noise.
    """

    images: Images
    noise: Array
    protected: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, H, W, C)``."""
        return self.images.shape

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    def __getitem__(self, rows: slice | Array) -> Array:
        """These images as they are published."""
        return apply_noise(self.images[rows], self.noise[rows], self.protected[rows])


def publish(
    config: dict[str, Any],
    source: Path,
    noise: Path | None,
    parquet: Path,
    arrays: Path,
    manifest: Path,
    metrics: Path,
    threads: int = 1,
) -> None:
    """Write a protected dataset as Parquet with PNG images and as NumPy shards, and measure what was written.

    The method clean publishes the images as they are: all of them or, asked for a protected share, the rest, which are
    those that are not protected at that share and seed.

    Args:
        config: the stage's settings, as ``Study.perturbed_config`` gives them.
        source: folder of the clean dataset.
        noise: folder of the merged noise, or None for clean images.
        parquet: folder for the Parquet files.
        arrays: folder for the NumPy shards.
        manifest: JSON file to write.
        metrics: JSON file to write: seconds, memory.
        threads: how many images to encode, and later decode, at a time.

    Raises:
        UserError: the noise was made for another dataset, or a written image is beyond the bound.
    """
    started = time.monotonic()
    settings = Perturbed(rows_per_parquet=config["rows_per_parquet"], rows_per_shard=config["rows_per_shard"])
    bound = Bound(**config["bound"])
    clean = dataset.load(source, "train")
    protected = protected_rows(clean.labels, config["protected"], config["seed"])
    index = np.arange(len(clean.labels))
    if config["method"] == "clean":
        index = index[~protected]
        clean = Split(Chosen(clean.images, index), clean.labels[index], clean.classes)
        protected = np.zeros(len(index), bool)
    images = clean.images if noise is None else Noisy(clean.images, read_noise(noise, source), protected)
    split = Split(images, clean.labels, clean.classes)

    shape, shard_hashes = shards.write(arrays, split, settings.rows_per_shard)
    hashes = write_parquet(parquet, split, protected, settings.rows_per_parquet, index, threads)
    measured = measure(parquet, list(hashes), clean, protected, bound, index, threads)
    files.write_json(
        manifest,
        {
            "dataset": dataset.identity(source),
            "classes": clean.classes,
            "shape": shape[1:],
            files.HASHES: shard_hashes | {f"{parquet.name}/{name}": found for name, found in hashes.items()},
            "rows": measured.rows,
            "protected_rows": int(protected.sum()),
            "share_protected": float(protected.mean()),
            "largest_change": measured.largest_change,
            "bound": bound.plain() | {"largest": measured.largest_size},
            "config": config,
            "versions": versions(),
        },
    )
    files.write_json(metrics, {"seconds": time.monotonic() - started, "peak_memory_bytes": peak_memory_of_process()})
    log.info("%d images, %d protected, largest change %d/255", measured.rows, protected.sum(), measured.largest_change)


def read_noise(folder: Path, source: Path) -> Array:
    """A merged noise, mapped into memory, after making sure that it belongs to the dataset.

    Raises:
        UserError: it was made for another dataset, or is damaged.
    """
    manifest, path = folder / "manifest.json", folder / "noise.npy"
    made = files.read_json(manifest)
    if made["dataset"] != dataset.identity(source):
        raise UserError(
            f"{folder}: this noise was made for another dataset than {source} (hash mismatch); "
            "run the noise stage again"
        )
    files.check_files(manifest, path)
    return files.map_array(path)


def versions() -> dict[str, str]:
    """Versions of what the bytes depend on; this project's own is known only where it is installed."""
    found = {name: version(name) for name in ("numpy", "pillow", "pyarrow", "torch")}
    try:
        own = version("unlearnable")
    except PackageNotFoundError:
        own = "not installed"
    return {"python": platform.python_version(), "unlearnable": own} | found


def schema(classes: list[str]) -> pa.Schema:
    """Columns, with the metadata that shows images and class names in ``datasets`` and the names in pandas."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {
        "image": {"_type": "Image"},
        "label": {"names": classes, "_type": "ClassLabel"},
        "index": {"dtype": "int64", "_type": "Value"},
        "protected": {"dtype": "bool", "_type": "Value"},
    }
    fields = [("image", image), ("label", pa.int64()), ("index", pa.int64()), ("protected", pa.bool_())]
    metadata = {
        "huggingface": json.dumps({"info": {"features": features}}),
        "PANDAS_ATTRS": json.dumps({"classes": classes}),  # what pandas gives back as DataFrame.attrs
    }
    return pa.schema(fields, metadata=metadata)


def write_parquet(
    folder: Path,
    split: Split,
    protected: Array,
    rows_per_file: int,
    index: Array | None = None,
    threads: int = 1,
) -> dict[str, str]:
    """Write Parquet files with one PNG a row, of which one row group at a time is in memory.

    Args:
        folder: where to write.
        split: what to write.
        protected: ``(N,)`` bool, the column of that name.
        rows_per_file: images per file.
        index: ``(N,)`` int64, each image's row in the clean dataset; by default they are all of it.
        threads: how many images to encode at a time.

    Returns:
        The files' SHA-256 by name.
    """
    index = np.arange(len(split.labels)) if index is None else index
    layout = schema(split.classes)
    starts = range(0, len(split.labels), rows_per_file)
    hashes = {}
    meter = Meter("image", len(split.labels), 1, "cpu")
    with mapping(threads, split.images.shape[1:]) as apply:
        for number, start in enumerate(starts):
            name = f"train-{number:05d}-of-{len(starts):05d}.parquet"
            stop = min(start + rows_per_file, len(split.labels))
            with (
                files.atomic(folder / name) as file,
                pq.ParquetWriter(file, layout, compression="none") as writer,  # PNGs do not compress further
            ):
                for first in range(start, stop, ROW_GROUP):
                    rows = slice(first, min(first + ROW_GROUP, stop))
                    paths = [f"{row:06d}.png" for row in index[rows]]
                    images = pa.StructArray.from_arrays(
                        [_encoded(split, rows, apply), paths], fields=list(layout[0].type)
                    )
                    columns = [images, split.labels[rows], index[rows], protected[rows]]
                    writer.write_table(pa.Table.from_arrays(columns, schema=layout))
                    meter.at(rows.stop, "into Parquet")
            hashes[name] = files.sha256(folder / name)
    return hashes


def _encoded(split: Split, rows: slice, apply: Mapping) -> pa.Array:
    """The images of a slice as PNGs, encoded a piece at a time."""
    step = chunk_rows(split.images.shape[1:])
    pieces = [slice(start, min(start + step, rows.stop)) for start in range(rows.start, rows.stop, step)]
    return pa.concat_arrays([pa.array(list(apply(encode, split.images[piece])), pa.binary()) for piece in pieces])


@dataclass(frozen=True)
class Measured:
    """What published files hold.

    Attributes:
        rows: number of images.
        largest_change: of any value of any image, in grey levels.
        largest_size: of the change of any image, in the unit of its bound.
    """

    rows: int
    largest_change: int
    largest_size: float


def measure(
    folder: Path,
    names: list[str],
    clean: Split,
    protected: Array,
    bound: Bound,
    index: Array | None = None,
    threads: int = 1,
) -> Measured:
    """Decode what was written and compare it with the clean images, a piece at a time.

    Args:
        folder: of the Parquet files.
        names: of the files, in order.
        clean: the images that should be in them, before any noise.
        protected: ``(N,)`` bool, which of them may have changed.
        bound: what the change of every image must keep to.
        index: ``(N,)`` int64, each image's row in the clean dataset; by default they are all of it.
        threads: how many images to decode at a time.

    Raises:
        UserError: a row is missing, repeated or out of place, a label changed, an unprotected image did, or a protected
            one is beyond the bound.
    """
    index = np.arange(len(clean.labels)) if index is None else index
    height, width, channels = shape = clean.images.shape[1:]
    rows, largest_change, largest_size = 0, 0, 0.0
    meter = Meter("image", len(clean.labels), 1, "cpu")
    with mapping(threads, shape) as apply:
        for name in names:
            for batch in parquet_batches(folder / name, ["image", "label", "index"], chunk_rows(shape)):
                images, labels, places = (batch[column].to_pylist() for column in ("image", "label", "index"))
                wheres = [f"{folder / name}, index {place}" for place in places]
                for row, (where, label, place) in enumerate(zip(wheres, labels, places, strict=True), start=rows):
                    if row >= len(index) or place != index[row] or label != clean.labels[row]:
                        raise UserError(
                            f"{where}: row {row} has index {place} and label {label}; write the dataset again"
                        )

                def pixels(image: dict[str, Any], where: str) -> Array:
                    return decode(image["bytes"], where, (width, height), MODES[channels])

                piece = slice(rows, rows + len(places))
                change = np.stack(list(apply(pixels, images, wheres))).astype(np.int16) - clean.images[piece]
                largest = np.abs(change).max(axis=(1, 2, 3))
                astray = np.flatnonzero((largest > 0) & ~protected[piece])
                if astray.size:
                    raise UserError(f"{wheres[astray[0]]}: an unprotected image changed by {largest[astray[0]]}/255")
                sizes = bound.sizes(change)
                beyond = bound.exceeded_by(change)
                if beyond is not None:
                    raise UserError(f"{wheres[beyond]}: a change of {sizes[beyond]:g} is beyond the bound, {bound}")
                largest_change = max(largest_change, int(largest.max()))
                largest_size = max(largest_size, float(sizes.max()))
                rows += len(places)
                meter.at(rows, "measured")
    if rows != len(clean.labels):
        raise UserError(f"{folder}: {rows} rows were written of {len(clean.labels)}")
    return Measured(rows, largest_change, largest_size)


def load(folder: str | Path) -> Split:
    """Read the training images that a victim sees, from the folder of a published dataset."""
    return shards.read(Path(folder, "manifest.json"), "shards")
