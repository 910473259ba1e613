"""The merge_noise stage: the shards of a noise are checked and joined."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unlearnable import arrays, files
from unlearnable.bounds import Bound
from unlearnable.datasets.shards import identity
from unlearnable.datasets.split import Array, shard_rows
from unlearnable.datasets.stream import chunk_rows
from unlearnable.errors import UserError
from unlearnable.progress import passing
from unlearnable.recipe import BY_HAND, Made
from unlearnable.settings import plain
from unlearnable.stages.settings.noise import NoiseSettings

AGAIN = "run the noise stage again"


def checked_pieces(
    shards: list[Array], names: list[str], shape: tuple[int, ...], batch_size: int, bound: Bound
) -> Iterator[Array]:
    """The whole noise from its shards, in the order of the images, checked and in pieces.

    Args:
        shards: ``(rows, H, W, C)`` each, int8 or int16, whole grey levels, in order; they may be memory maps.
        names: of the shards, for messages.
        shape: of the whole noise, ``(N, H, W, C)``.
        batch_size: images per batch of the noise pass.
        bound: of the noise of every image.

    Raises:
        UserError: the shards do not cover every image exactly once, or the noise of an image exceeds the bound.
    """
    done = 0
    step = chunk_rows(shape[1:])
    for number, (name, part) in enumerate(zip(names, shards, strict=True)):
        rows = shard_rows(shape[0], batch_size, number, len(shards))
        if part.shape != (len(rows), *shape[1:]):
            raise UserError(f"{name}: shape {part.shape} is not {(len(rows), *shape[1:])}; {AGAIN}")
        if part.dtype != shards[0].dtype or part.dtype not in (np.int8, np.int16):
            raise UserError(f"{name}: {part.dtype}, but all shards must be int8, or all int16; {AGAIN}")
        if rows.start != done:
            raise UserError(
                f"{name}: starts at image {rows.start}, not {done}: not every image has exactly one noise; {AGAIN}"
            )
        for start in range(0, len(part), step):
            piece = part[start : start + step]
            beyond = bound.exceeded_by(piece)
            if beyond is not None:
                size = float(bound.sizes(piece[[beyond]])[0])
                raise UserError(
                    f"{name}: the noise of image {done + beyond} has a size of {size:g} and exceeds the bound, {bound}"
                )
            yield piece
            done += len(piece)
    if done != shape[0]:
        raise UserError(f"image {done} has no noise; {AGAIN}")


def merge(
    settings: NoiseSettings,
    source: Path,
    shards: list[str],
    shard_metrics: list[str],
    noise: str,
    manifest: str,
    metrics: str,
    *,
    made: Made = BY_HAND,
) -> None:
    """Join the shards of a noise, and record its dataset and settings.

    Args:
        settings: of the noise.
        source: folder of the clean dataset.
        shards: the shards' files, in order.
        shard_metrics: their metrics.
        noise: ``.npy`` file to write.
        manifest: JSON file to write: hash, shape, largest change, dataset, settings, for methods that descend the mean
            losses with the start and with the noise, and whether it is a control.
        metrics: JSON file to write: sums over the shards.
        made: what the noise is made with.

    Raises:
        UserError: a shard is damaged, the shards do not form one noise within the bound for all images, a descent did
            not lower the loss, or the disk is full.
    """
    train = files.read_json(source / "manifest.json")["train"]
    shape = (train["rows"], *train["shape"])
    for part, described in zip(shards, shard_metrics, strict=True):
        files.check_files(described, part)
    measured = [files.read_json(path) for path in shard_metrics]
    descent = lowered_loss([part["descent"] for part in measured if "descent" in part], settings, noise)
    parts = [arrays.map_array(path) for path in shards]
    largest = total = 0
    with arrays.stream_array(noise, shape, parts[0].dtype) as file:
        pieces = checked_pieces(parts, shards, shape, settings.noise_pass.batch_size, settings.bound)
        for piece in passing(pieces, shape[0], "joined"):
            levels = np.abs(piece.astype(np.int32))
            largest = max(largest, int(levels.max(initial=0)))
            total += int(levels.sum())
            file.write(piece)
    files.write_json(
        manifest,
        {
            "dataset": identity(source),
            files.HASHES: {Path(noise).name: file.sha256},
            "shape": list(shape),
            "largest": largest,
            "mean_size": total / math.prod(shape),
            "config": plain(settings),
            **({} if descent is None else {"descent": descent}),
            **({"control": True} if settings.method.control else {}),
            **made,
        },
    )
    files.write_json(
        metrics,
        {
            "passes": sum(part["passes"] for part in measured),
            "seconds": sum(part["seconds"] for part in measured),
            "peak_memory_bytes": max(part["peak_memory_bytes"] for part in measured),
            "device": measured[0]["device"],
            **made,
        },
    )


def lowered_loss(parts: list[dict[str, float]], settings: NoiseSettings, where: str) -> dict[str, float] | None:
    """The mean losses of all images with the start of their noise and with the noise.

    Args:
        parts: number of images and mean losses of each shard; none for a method that does not descend.
        settings: of the noise.
        where: the noise, for the message.

    Returns:
        ``loss_at_start`` and ``loss``; None for a method that does not descend.

    Raises:
        UserError: the loss is not lower with the noise, so the noise is no better than its start.
    """
    if not parts:
        return None
    images = sum(part["images"] for part in parts)
    start, loss = (sum(part["images"] * part[key] for part in parts) / images for key in ("loss_at_start", "loss"))
    if not loss < start:
        raise UserError(
            f"{where}: method {settings.method.algorithm}: the mean loss is {loss:.6g} with the noise and {start:.6g} "
            "with the start of its descent, but must be lower: this noise does no more than its start; change the "
            "training of its source model (source_model: lr, steps) or the method's steps"
        )
    return {"loss_at_start": float(f"{start:.6g}"), "loss": float(f"{loss:.6g}")}  # whatever the number of shards
