"""The noise stage: every image's noise, afresh, from the frozen source model, shard by shard."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unlearnable import files, registry
from unlearnable.batches import shard_rows
from unlearnable.data.images import Split
from unlearnable.device import choose_precision, describe, peak_memory
from unlearnable.draws import of_rows
from unlearnable.engine import prepare
from unlearnable.models import create, restore
from unlearnable.problem import problem_of
from unlearnable.resume import Loop
from unlearnable.settings.noise import NoisePass


def make_shard(
    config: dict[str, Any],
    train: Split,
    model: str | Path,
    shard: int,
    shards: int,
    loop: Loop,
    device: torch.device,
    noise: str | Path,
    metrics: str | Path,
) -> None:
    """Compute the noise of one shard's images (Fu et al. 2022, the pass after Algorithm 1).

    Batches follow the order of the images, and an image's draws depend on its place alone: neither the shard count nor
    an interruption changes a byte, and the batch size nothing beyond rounding.

    Args:
        config: the stage's settings, as ``Study.noise_config`` gives them.
        train: all clean training images.
        model: the source model's weights.
        shard: which shard, from 0.
        shards: how many there are.
        loop: progress, checkpoints and time.
        device: where to compute.
        noise: ``.npy`` file to write: ``(rows, H, W, C)``, whole grey levels.
        metrics: JSON file to write: passes, seconds, memory.
    """
    settings = NoisePass(**config["pass"])
    method = registry.load("noises", config["method"]["algorithm"])
    problem = problem_of(config, len(train.classes))
    _, size, _, channels = train.images.shape
    network = create(config["network"], channels, len(train.classes), size, config["seed"], device, config["stem"])
    restore(network, model)

    rows = shard_rows(len(train.labels), settings.batch_size, shard, shards)
    images, labels = Split(train.images[rows.start : rows.stop], train.labels[rows.start : rows.stop], []).on(device)
    starts = range(0, len(rows), settings.batch_size)
    whole = np.zeros((len(rows), *train.images.shape[1:]), np.int8 if problem.rho_u <= 127 else np.int16)
    state = loop.restore()
    done = state["batches"] if state is not None else 0
    if state is not None:
        ready = min(done * settings.batch_size, len(rows))
        whole[:ready] = state["noise"].numpy()
    passes = state["passes"] if state is not None else 0

    batches = math.ceil(len(train.labels) / settings.batch_size)  # of all shards, so that all compute alike
    engine = prepare(
        network,
        (channels, size, size),
        choose_precision(settings.precision, device),
        batches * method.noise_passes(problem.settings),
    )
    with engine.frozen() as fixed:
        for index in range(done, len(starts)):
            start = starts[index]
            stop = min(start + settings.batch_size, len(rows))
            draws = of_rows(rows.start + start, rows.start + stop, config["seed"], "noise", device)
            x, y = images[start:stop].float(), labels[start:stop]
            before = fixed.images
            d = method.noise(fixed, x, y, problem, draws)
            passes += (fixed.images - before) // len(x)
            whole[start:stop] = d.permute(0, 2, 3, 1).cpu().numpy().astype(whole.dtype)

            def snapshot(batches: int = index + 1, stop: int = stop, passes: int = passes) -> dict[str, Any]:
                ready = torch.from_numpy(whole[:stop].copy())
                return {"noise": ready, "batches": batches, "passes": passes}

            loop.after(index + 1, len(starts), snapshot, functools.partial("{} passes".format, passes))
    files.write_array(noise, whole)
    files.write_json(
        metrics,
        {
            "passes": passes,
            "seconds": loop.seconds,
            "peak_memory_bytes": peak_memory(device),
            "device": describe(device),
        },
    )
    loop.done()
