"""The perturbed stage: the dataset as it is published, and as victims read it."""

from __future__ import annotations

import io
import json
import logging
import platform
import resource
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unlearnable import files
from unlearnable.data import dataset, readers, shards
from unlearnable.data.images import Array, Split, stratified_order
from unlearnable.errors import UserError
from unlearnable.randomness import numpy_generator
from unlearnable.settings.perturbed import Perturbed

log = logging.getLogger(__name__)


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


def publish(
    config: dict[str, Any],
    source: Path,
    noise: Path | None,
    parquet: Path,
    arrays: Path,
    manifest: Path,
    metrics: Path,
) -> None:
    """Write a protected dataset as Parquet with PNG images and as NumPy shards, and measure what was written.

    Args:
        config: the stage's settings, as ``Study.perturbed_config`` gives them.
        source: folder of the clean dataset.
        noise: folder of the merged noise, or None for the clean reference.
        parquet: folder for the Parquet files.
        arrays: folder for the NumPy shards.
        manifest: JSON file to write.
        metrics: JSON file to write: seconds, memory.

    Raises:
        UserError: the noise was made for another dataset, or a written image is beyond the radius.
    """
    started = time.monotonic()
    settings = Perturbed(rows_per_parquet=config["rows_per_parquet"], rows_per_shard=config["rows_per_shard"])
    clean = dataset.load(source, "train")
    if noise is None:
        protected = np.zeros(len(clean.labels), bool)
        images = clean.images
    else:
        protected = protected_rows(clean.labels, config["protected"], config["seed"])
        images = apply_noise(clean.images, read_noise(noise, source), protected)
    split = Split(images, clean.labels, clean.classes)

    written = shards.write(arrays, split, settings.rows_per_shard)
    hashes = write_parquet(parquet, split, protected, settings.rows_per_parquet)
    largest, rows = measure(parquet, list(hashes), clean, protected)
    if largest > config["rho_u"]:
        raise UserError(f"{parquet}: |x' - x| reaches {largest}/255, beyond rho_u = {config['rho_u']}/255")
    files.write_json(
        manifest,
        {
            "dataset": dataset.identity(source),
            "classes": clean.classes,
            "train": written,
            "parquet": hashes,
            "rows": rows,
            "protected_rows": int(protected.sum()),
            "share_protected": float(protected.mean()),
            "largest_change": largest,
            "config": config,
            "versions": versions(),
        },
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    files.write_json(metrics, {"seconds": time.monotonic() - started, "peak_memory_bytes": peak})
    log.info("%d images, %d protected, largest change %d/255", rows, protected.sum(), largest)


def read_noise(folder: Path, source: Path) -> Array:
    """Read a merged noise and make sure that it belongs to the dataset.

    Raises:
        UserError: it was made for another dataset, or is damaged.
    """
    made = files.read_json(folder / "manifest.json")
    if made["dataset"] != dataset.identity(source):
        raise UserError(
            f"{folder}: this noise was made for another dataset than {source} (hash mismatch); "
            "run the noise stage again"
        )
    files.check_hashes(folder, {"noise.npy": made["sha256"]})
    return files.read_array(folder / "noise.npy")


def versions() -> dict[str, str]:
    """Versions of what the bytes depend on."""
    names = ("unlearnable", "numpy", "pillow", "pyarrow", "torch")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def encode(image: Array) -> bytes:
    """One image ``(H, W, C)`` uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "png")
    return buffer.getvalue()


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


def write_parquet(folder: Path, split: Split, protected: Array, rows_per_file: int) -> dict[str, str]:
    """Write Parquet files with one PNG a row; returns their SHA-256 by name."""
    starts = range(0, len(split.labels), rows_per_file)
    hashes = {}
    for number, start in enumerate(starts):
        rows = range(start, min(start + rows_per_file, len(split.labels)))
        images = [{"bytes": encode(split.images[i]), "path": f"{i:06d}.png"} for i in rows]
        columns = [images, split.labels[rows.start : rows.stop], list(rows), protected[rows.start : rows.stop]]
        layout = schema(split.classes)
        table = pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, layout, strict=True)], schema=layout
        )
        name = f"train-{number:05d}-of-{len(starts):05d}.parquet"
        with files.atomic(folder / name) as file:
            pq.write_table(table, file, compression="none", row_group_size=1000)  # PNGs do not compress further
        hashes[name] = files.sha256(folder / name)
    return hashes


def measure(folder: Path, names: list[str], clean: Split, protected: Array) -> tuple[int, int]:
    """Decode what was written: the largest change in grey levels, and the number of rows.

    Raises:
        UserError: a row is missing, repeated or out of place, a label changed, or an unprotected image did.
    """
    largest = 0
    rows = 0
    height, width, channels = clean.images.shape[1:]
    for name in names:
        table = readers.read_table(folder / name)
        for image, label, index in zip(
            table["image"].to_pylist(), table["label"].to_pylist(), table["index"].to_pylist(), strict=True
        ):
            where = f"{folder / name}, index {index}"
            pixels = readers.decode(image["bytes"], where, (width, height), readers.MODES[channels])
            if index != rows or label != clean.labels[index]:
                raise UserError(f"{where}: row {rows} has index {index} and label {label}; write the dataset again")
            change = int(np.abs(pixels.astype(np.int16) - clean.images[index]).max())
            if change and not protected[index]:
                raise UserError(f"{where}: an unprotected image changed by {change}/255")
            largest = max(largest, change)
            rows += 1
    if rows != len(clean.labels):
        raise UserError(f"{folder}: {rows} rows were written of {len(clean.labels)}")
    return largest, rows


def load(folder: str | Path) -> Split:
    """Read the training images that a victim sees, from the folder of a published dataset."""
    manifest = files.read_json(Path(folder, "manifest.json"))
    return shards.read(Path(folder, "shards"), manifest["train"], manifest["classes"])
