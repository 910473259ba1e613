"""The end of the noise stage: shards become one noise, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unlearnable import files
from unlearnable.batches import shard_rows
from unlearnable.data import dataset
from unlearnable.data.images import Array
from unlearnable.errors import UserError


def join(shards: list[Array], names: list[str], shape: tuple[int, ...], batch_size: int, rho_u: int) -> Array:
    """Put every shard in its place.

    Args:
        shards: ``(rows, H, W, C)`` each, signed whole grey levels, in order.
        names: what to call each shard in a message.
        shape: of the whole noise, ``(N, H, W, C)``.
        batch_size: images per batch of the noise pass.
        rho_u: radius in units of 1/255.

    Raises:
        UserError: the shards do not cover every image exactly once, or one exceeds the radius.
    """
    whole = np.zeros(shape, shards[0].dtype)
    written = np.zeros(shape[0], np.int64)
    for number, (name, part) in enumerate(zip(names, shards, strict=True)):
        rows = shard_rows(shape[0], batch_size, number, len(shards))
        if part.shape != (len(rows), *shape[1:]):
            raise UserError(f"{name}: shape {part.shape} is not {(len(rows), *shape[1:])}; run the noise stage again")
        largest = int(np.abs(part.astype(np.int16)).max(initial=0))
        if largest > rho_u:
            raise UserError(f"{name}: the noise reaches {largest}/255, beyond rho_u = {rho_u}/255")
        whole[rows.start : rows.stop] = part
        written[rows.start : rows.stop] += 1
    wrong = np.flatnonzero(written != 1)
    if wrong.size:
        raise UserError(f"image {wrong[0]} has {written[wrong[0]]} noises, not one; run the noise stage again")
    return whole


def merge(
    config: dict[str, Any],
    source: Path,
    shards: list[str],
    shard_metrics: list[str],
    noise: str,
    manifest: str,
    metrics: str,
) -> None:
    """Join the shards of a noise and record what it was made for.

    Args:
        config: the stage's settings, as ``Study.noise_config`` gives them.
        source: folder of the clean dataset.
        shards: the shards' files, in order.
        shard_metrics: their metrics.
        noise: ``.npy`` file to write.
        manifest: JSON file to write: hash, shape, radius, dataset, settings.
        metrics: JSON file to write: sums over the shards.
    """
    train = files.read_json(source / "manifest.json")["train"]
    shape = (train["rows"], *train["shape"])
    parts = [files.read_array(path) for path in shards]
    whole = join(parts, shards, shape, config["pass"]["batch_size"], config["rho_u"])
    files.write_array(noise, whole)
    measured = [files.read_json(path) for path in shard_metrics]
    files.write_json(
        manifest,
        {
            "dataset": dataset.identity(source),
            "sha256": files.sha256(noise),
            "shape": list(shape),
            "largest": int(np.abs(whole.astype(np.int16)).max()),
            "mean_size": float(np.abs(whole.astype(np.int16)).mean()),
            "config": config,
        },
    )
    files.write_json(
        metrics,
        {
            "passes": sum(part["passes"] for part in measured),
            "seconds": sum(part["seconds"] for part in measured),
            "peak_memory_bytes": max(part["peak_memory_bytes"] for part in measured),
            "device": measured[0]["device"],
        },
    )
