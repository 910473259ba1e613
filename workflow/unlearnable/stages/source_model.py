"""The source_model stage: train the network theta, whose frozen weights are used to compute the noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unlearnable import files
from unlearnable.compute.augment import transformed
from unlearnable.compute.device import choose_precision, describe, peak_memory
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import choose_engine
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import uniform
from unlearnable.countermeasures.base import Lesson
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import chunk_rows
from unlearnable.errors import UserError
from unlearnable.networks.build import create, save_weights
from unlearnable.noises.method import Batch, Problem, method_of, problem_of
from unlearnable.noises.settings import MethodSettings
from unlearnable.randomness import generator
from unlearnable.recipe import BY_HAND, Made
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.training.fit import fit, write_history
from unlearnable.training.joint_batch_norm import synchronise
from unlearnable.training.loop import Loop
from unlearnable.training.ranks import ALONE, Ranks


def train_source_model(
    settings: SourceModelSettings,
    train: Split,
    loop: Loop,
    device: torch.device,
    model: str | Path,
    history: str | Path,
    metrics: str | Path,
    *,
    base: Array | None = None,
    made: Made = BY_HAND,
    ranks: Ranks = ALONE,
) -> None:
    """Train theta: min-min-max for REM (Fu et al. 2022, Algorithm 1) and its variants, standard training for clean.

    Several ranks give the result of one process, up to rounding: each has an equal share of every batch, the draws for
    its images are the same, and batch norm takes its statistics over the whole batch.

    Args:
        settings: of the training.
        train: the clean training images.
        loop: progress, checkpoints and time.
        device: where to compute.
        model: safetensors file to write.
        history: Parquet file to write, one row per ``history_every`` steps.
        metrics: JSON file to write.
        base: the merged noise that each step's noise starts from, ``(N, H, W, C)``; None for a start of its own.
        made: what the source model is made with.
        ranks: the processes that train it together; the first one writes the files.

    Raises:
        UserError: the ranks cannot share this training; or as for ``fit``.
    """
    require_shareable(settings, ranks.size)
    training, seed = settings.training, settings.seed
    problem = problem_of(settings, len(train.classes))
    method = method_of(problem.settings)
    feed = Feed(train, device)
    shape = transformed(problem.augmentation, feed.shape)
    classes = len(train.classes)
    network = create(
        training.network, shape[0], classes, shape[1], seed, device, training.stem, training.initialisation
    )
    synchronise(network, ranks)
    carried = problem.settings.carried
    kept = carried_noise(problem, feed, seed) if base is None else given_noise(base, device)

    def inputs(fixed: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
        place = y if carried == "class" else rows
        start = None if kept is None else kept[place].float()
        batch = Batch(x, y, problem, ranks.draws(draws, training.batch_size), start)
        pixels, d = method.training_inputs(fixed, batch)
        if kept is not None and carried is not None:
            kept[ranks.gathered(place)] = ranks.gathered(d.to(kept.dtype))
        return Lesson(pixels, y, clean=method.training_clean(batch, pixels))

    engine = choose_engine(
        network,
        tuple(map(max, shape, feed.shape)),  # some noises pass untransformed images, too
        choose_precision(training.precision, device),
        training.steps * method.training_passes(problem),
    )
    rows, passes = fit(
        engine,
        feed,
        training,
        inputs,
        loop,
        shape=shape,
        carried=() if kept is None or carried is None else (kept,),
        seed=seed,
        stage="source model",
        row_every=training.history_every,
        objective=method.objective(problem),
        objective_passes=method.objective_passes(problem),
        ranks=ranks,
    )
    if ranks.rank:
        return
    save_weights(network, model)
    write_history(history, rows)
    last = rows[-1]
    files.write_json(
        metrics,
        {
            "batch_accuracy": last["batch_accuracy"],
            "loss": last["loss"],
            "passes": passes,
            "seconds": loop.seconds,
            "peak_memory_bytes": peak_memory(device),
            "device": ranks.named(describe(device)),
            files.HASHES: files.hashes(model, history),
            **made,
        },
    )
    loop.done()


def require_shareable(settings: SourceModelSettings, ranks: int) -> None:
    """Make sure that this many ranks can share a training.

    Args:
        settings: of the training.
        ranks: number of ranks; a single one can always train.

    Raises:
        UserError: its batches cannot be split into equal shares, or their images depend on one another.
    """
    batch = settings.training.batch_size
    if ranks > 1 and batch % ranks:
        raise UserError(
            f"source_model: batch_size is {batch}, which {ranks} GPUs cannot share equally; make it a multiple of "
            f"{ranks}, or grant the rule source_model another number (--set-resources source_model:gpu=1)"
        )
    if ranks > 1 and settings.method.joint:
        raise UserError(
            f"source_model: the source model of {settings.method.algorithm}, whose noise depends on whole batches, "
            f"trains on one GPU, not on {ranks}; grant the rule source_model one (--set-resources source_model:gpu=1)"
        )


def carried_noise(problem: Problem[MethodSettings], feed: Feed, seed: int) -> Tensor | None:
    """The initial noise of methods that carry it from step to step: a uniform draw.

    Returns:
        ``(N, C, H, W)`` int16 for the noise of each image, in whole grey levels; ``(classes, C, H, W)`` float32 for
        that of each class; None if every step draws new noise.
    """
    draws = generator(seed, "source model", "start", device=feed.device)
    if problem.settings.carried == "class":
        return uniform(torch.empty(problem.classes, *feed.shape, device=feed.device), problem.rho_u, draws)
    if problem.settings.carried is None:
        return None
    kept = torch.empty(len(feed), *feed.shape, dtype=torch.int16, device=feed.device)
    for part in torch.split(kept, chunk_rows(feed.shape)):  # a single draw would take twice the memory of the result
        part.copy_(uniform(torch.empty(part.shape, device=feed.device), problem.rho_u, draws).round())
    return kept


def given_noise(noise: Array, device: torch.device) -> Tensor:
    """The noise that every visit of an image starts from: ``(N, H, W, C)`` grey levels as ``(N, C, H, W)`` int16."""
    rows, height, width, channels = noise.shape
    given = torch.empty(rows, channels, height, width, dtype=torch.int16, device=device)
    step = chunk_rows((channels, height, width))
    for first in range(0, rows, step):
        given[first : first + step] = torch.from_numpy(noise[first : first + step].astype(np.int16)).permute(0, 3, 1, 2)
    return given
