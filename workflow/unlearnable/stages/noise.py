"""The noise stage: every image's final noise, from the frozen source model if it has one, shard by shard."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unlearnable import files
from unlearnable.arrays import growing
from unlearnable.compute.augment import transformed
from unlearnable.compute.device import choose_precision, describe, peak_memory
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.draws import of_rows
from unlearnable.compute.engine import choose_engine
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Array, Chosen, Split, shard_rows
from unlearnable.errors import UserError
from unlearnable.networks.build import create, load_weights
from unlearnable.noises.method import Batch, LossChange, method_of, problem_of
from unlearnable.recipe import BY_HAND, Made
from unlearnable.stages.settings.noise import NoiseSettings
from unlearnable.training.loop import Loop


def make_shard(
    settings: NoiseSettings,
    train: Split,
    model: str | Path | None,
    shard: int,
    shards: int,
    loop: Loop,
    device: torch.device,
    noise: str | Path,
    metrics: str | Path,
    *,
    base: Array | None = None,
    made: Made = BY_HAND,
) -> None:
    """Compute the noise of one shard's images (Fu et al. 2022, the pass after Algorithm 1).

    Batches follow the order of the images, and an image's draws depend only on its index: neither the number of shards
    nor an interruption changes a byte, and the batch size only affects rounding (except for NTGA, whose batches are its
    blocks).

    Args:
        settings: of the noise.
        train: all clean training images.
        model: the source model's weights; None if the noise has none.
        shard: which shard, from 0.
        shards: number of shards.
        loop: progress, checkpoints and time.
        device: where to compute.
        noise: ``.npy`` file to write: ``(rows, H, W, C)``, whole grey levels.
        metrics: JSON file to write: passes, seconds, memory, the noise's hash, and for methods that descend the mean
            losses with the start and with the noise. Every shard computes, and counts, the basis of all images'
            noise.
        base: the merged noise that this one is made of or starts from, ``(N, H, W, C)``; None if there is none.
        made: what the noise is made with.

    Raises:
        UserError: a checkpoint or the noise does not fit on the disk, the method does not support the images, or the
            source model's gradients are not finite.
    """
    problem = problem_of(settings, len(train.classes))
    method = method_of(problem.settings)
    size, seed = settings.noise_pass.batch_size, settings.seed
    rows = np.array(shard_rows(len(train.labels), size, shard, shards), np.int64)
    feed = Feed(Split(Chosen(train.images, rows), train.labels[rows], train.classes), device)
    starts = range(0, len(rows), size)
    loop.images = len(rows) / max(1, len(starts))
    state = loop.restore()
    shape, dtype = (len(rows), *train.images.shape[1:]), settings.bound.dtype
    beside = (loop.checkpoint or Path(noise)).with_name(f".{Path(noise).name}.part")
    # Of all shards, so that all compute in the same way.
    expected = math.ceil(len(train.labels) / size) * method.noise_passes(problem)

    with (
        frozen_source(settings, train, model, device, expected) as network,
        growing(noise, beside, shape, dtype, None if state is None else state["noise"]) as written,
    ):
        done = math.ceil(written.rows / size)
        passes = state["passes"] if state is not None and done else 0
        change = LossChange(**state["change"]) if state is not None and done else LossChange()
        basis = method.basis(network, train, problem, seed, device)
        order = None if base is None else method.order(train.labels, problem, seed)
        if network is not None and not done:
            passes += math.ceil(network.images / size)
        chosen = (np.arange(start, min(start + size, len(rows))) for start in starts[done:])
        for index, (images, y, _) in enumerate(feed.batches(chosen), start=done):
            first = int(rows[index * size])
            start = None
            if base is not None and order is not None:
                start = torch.from_numpy(base[order[first : first + len(y)]]).permute(0, 3, 1, 2).float().to(device)
            batch = Batch(images.float(), y, problem, of_rows(first, first + len(y), seed, "noise", device), start)
            before = 0 if network is None else network.images
            d = method.noise(basis, batch)
            if network is not None:
                passes += (network.images - before) // len(y)
                if method.descends:
                    again = replace(batch, draws=of_rows(first, first + len(y), seed, "noise", device))
                    change.add(*method.descent(again, seed).losses(network, d))
            require_finite(problem.settings.algorithm, network, d, change)
            written.write(d.permute(0, 2, 3, 1).cpu().numpy().astype(dtype))

            def snapshot(passes: int = passes) -> dict[str, Any]:
                return {"noise": written.save(), "passes": passes, "change": asdict(change)}

            loop.after(index + 1, len(starts), snapshot, functools.partial("{} passes".format, passes))
        loop.require_wanted()
        # While the noise still has the name from which a later run resumes; otherwise a job that ends here would lose
        # it.
        files.write_json(
            metrics,
            {
                "passes": passes,
                "seconds": loop.seconds,
                "peak_memory_bytes": peak_memory(device),
                "device": describe(device),
                files.HASHES: {Path(noise).name: written.sha256()},
                **({"descent": change.means()} if change.images else {}),
                **made,
            },
        )
        loop.require_wanted()  # again, because hashing a large noise takes time
    loop.done()


def require_finite(algorithm: str, network: FrozenNetwork | None, d: Tensor, change: LossChange) -> None:
    """Make sure that a noise is not what is left of a descent along gradients that are none.

    Args:
        algorithm: of the method.
        network: the source model; None if the noise has none.
        d: the noise of a batch.
        change: the losses so far.

    Raises:
        UserError: a gradient, a loss or the noise is not finite.
    """
    losses = change.start + change.noise
    if network is not None and not math.isfinite(float(network.total) + losses):
        raise UserError(
            f"method {algorithm}: the outputs or gradients of the source model are not finite, so it has diverged; "
            "lower lr in source_model"
        )
    if not torch.isfinite(d).all():
        raise UserError(f"method {algorithm}: the noise is not finite; change the method's settings")


@contextmanager
def frozen_source(
    settings: NoiseSettings, train: Split, model: str | Path | None, device: torch.device, passes: int
) -> Iterator[FrozenNetwork | None]:
    """The source model, frozen for the duration; None if the noise has none.

    Args:
        settings: of the noise.
        train: all clean training images.
        model: the weights, or None.
        device: where to compute.
        passes: number of passes through the network for the noise of all images.
    """
    if model is None or settings.network is None or settings.stem is None:
        yield None
        return
    height, width, channels = train.images.shape[1:]
    raw = (channels, height, width)
    shape = transformed(settings.augmentation, raw)
    network = create(settings.network, channels, len(train.classes), shape[1], settings.seed, device, settings.stem)
    load_weights(network, model)
    largest = tuple(map(max, shape, raw))  # some noises pass untransformed images, too
    precision = choose_precision(settings.noise_pass.precision, device)
    with choose_engine(network, largest, precision, passes).frozen() as fixed:
        yield fixed
