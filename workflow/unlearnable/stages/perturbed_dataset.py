"""The perturbed_dataset stage: the protected dataset as Parquet and as NumPy shards."""

from __future__ import annotations

import logging
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable import files
from unlearnable.datasets import shards
from unlearnable.datasets.protected import Noisy, protected_rows, read_noise
from unlearnable.datasets.protected_parquet import measure, write_parquet
from unlearnable.datasets.split import Array, Chosen, Images, Split
from unlearnable.datasets.stream import chunk_rows
from unlearnable.progress import peak_memory_of_process
from unlearnable.recipe import BY_HAND, Made
from unlearnable.settings import plain
from unlearnable.stages.settings.perturbed_dataset import PerturbedDatasetSettings

log = logging.getLogger(__name__)


def publish(
    settings: PerturbedDatasetSettings,
    source: Path,
    noise: Path | None,
    parquet: Path,
    arrays: Path,
    manifest: Path,
    metrics: Path,
    threads: int = 1,
    *,
    made: Made = BY_HAND,
) -> None:
    """Write a protected dataset as Parquet with PNG images and as NumPy shards, and measure the written images.

    The method clean writes the images unchanged: all of them or, for a protected share, the rest: those that are not
    protected at that share and seed. If a noise is zero everywhere, no image counts as protected. The manifest of a
    control, such as random noise, says ``control``.

    Args:
        settings: of the dataset, and of its noise.
        source: folder of the clean dataset.
        noise: folder of the merged noise, or None for clean images.
        parquet: folder for the Parquet files.
        arrays: folder for the NumPy shards.
        manifest: JSON file to write.
        metrics: JSON file to write: seconds, memory.
        threads: number of images to encode, and later decode, at a time.
        made: what the dataset is made with.

    Raises:
        UserError: the noise was made for another dataset, or a written image exceeds the bound.
    """
    started = time.monotonic()
    clean = shards.load(source, "train")
    protected = protected_rows(clean.labels, settings.protected, settings.seed)
    index = np.arange(len(clean.labels))
    if settings.method == "clean":
        index = index[~protected]
        clean = Split(Chosen(clean.images, index), clean.labels[index], clean.classes)
        protected = np.zeros(len(index), bool)
    of_noise: dict[str, Any] = {}
    images: Images = clean.images
    if noise is not None:
        of_noise, levels = read_noise(noise, source)
        if is_zero(levels):
            log.warning("%s: the noise is zero in every image, so this dataset protects nothing", noise)
            protected[:] = False
        images = Noisy(clean.images, levels, protected)
    control = settings.noise is not None and settings.noise.method.control
    if control:
        log.warning("%s: a control to compare with, not protection", settings.method)
    split = Split(images, clean.labels, clean.classes)

    shape, shard_hashes = shards.write(arrays, split, settings.rows_per_shard)
    hashes = write_parquet(parquet, split, protected, settings.rows_per_parquet, index, threads)
    measured = measure(parquet, list(hashes), clean, protected, settings.bound, index, threads)
    files.write_json(
        manifest,
        {
            "dataset": shards.identity(source),
            "classes": clean.classes,
            "shape": shape[1:],
            files.HASHES: shard_hashes | {f"{parquet.name}/{name}": found for name, found in hashes.items()},
            "rows": measured.rows,
            "protected_rows": int(protected.sum()),
            "share_protected": float(protected.mean()),
            "largest_change": measured.largest_change,
            "bound": settings.bound.plain() | {"largest": measured.largest_size},
            "descent": of_noise.get("descent"),
            **({"control": True} if control else {}),
            "config": plain(settings),
            "versions": versions(),
            **made,
        },
    )
    spent = {"seconds": time.monotonic() - started, "peak_memory_bytes": peak_memory_of_process()}
    files.write_json(metrics, spent | dict(made))
    log.info("%d images, %d protected, largest change %d/255", measured.rows, protected.sum(), measured.largest_change)


def is_zero(noise: Array) -> bool:
    """Whether a noise, ``(N, H, W, C)``, changes nothing; reads it piece by piece, up to the first change."""
    step = chunk_rows(noise.shape[1:])
    return not any(noise[start : start + step].any() for start in range(0, len(noise), step))


def versions() -> dict[str, str]:
    """Versions of everything that the bytes depend on; this project's own is known only if it is installed."""
    found = {name: version(name) for name in ("numpy", "pillow", "pyarrow", "torch")}
    try:
        own = version("unlearnable")
    except PackageNotFoundError:
        own = "not installed"
    return {"python": platform.python_version(), "unlearnable": own} | found
