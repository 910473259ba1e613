"""The one training loop, for source models and victims alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from unlearnable import files
from unlearnable.compute.device import autocast
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import Engine
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.countermeasures.base import Lesson, Objective, cross_entropy
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError
from unlearnable.randomness import derived_seed, generator
from unlearnable.training.loop import Loop
from unlearnable.training.memory import require_step
from unlearnable.training.ranks import ALONE, Ranks
from unlearnable.training.settings import Training
from unlearnable.training.sgd import Sgd


def write_history(path: str | Path, rows: list[dict[str, float]]) -> None:
    """Write the history: one row for every measured step, all with the same columns."""
    table = pa.table({name: _column([row[name] for row in rows]) for name in rows[0]})
    with files.atomic(path) as file:
        pq.write_table(table, file)


def _column(numbers: list[float]) -> pa.Array:
    """Whole numbers or floats as an Arrow array; ``pyarrow.array`` would import pandas, which takes a while."""
    values = np.array(numbers)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


Inputs = Callable[[FrozenNetwork, Tensor, Tensor, Tensor, torch.Generator], Lesson]
Row = dict[str, float]


def fit(
    engine: Engine,
    feed: Feed,
    training: Training,
    inputs: Inputs,
    loop: Loop,
    *,
    shape: tuple[int, ...],
    seed: int,
    stage: str,
    row_every: int,
    objective: Objective = cross_entropy,
    objective_passes: int = 1,
    carried: tuple[Tensor, ...] = (),
    measure: Callable[[], Row] = dict,
    ranks: Ranks = ALONE,
) -> tuple[list[Row], int]:
    """Train the engine's network by SGD on the lesson that ``inputs`` makes of each batch.

    Args:
        engine: the network, trained in place, on the device of ``feed``; and how passes through it run.
        feed: the training images.
        training: steps, batch size and optimiser.
        inputs: maps the frozen network, a float batch in [0, 255], its labels, its row numbers and the step's generator
            to the lesson of this step.
        loop: progress, checkpoints and time.
        shape: ``(C, H, W)`` of one image of a lesson.
        seed: the cell's seed; it determines every draw, together with ``stage`` and the step.
        stage: name of the stage.
        row_every: steps between two rows of the history; the last step always has one.
        objective: maps the network in train mode and a lesson to the mean loss and the logits.
        objective_passes: how many times it passes a batch through the network.
        carried: tensors that ``inputs`` changes in place from step to step; saved with every checkpoint.
        measure: returns further columns of a row, such as an accuracy; called with the current network.
        ranks: the processes that train the network together, in equal shares of each batch. Each rank draws dropout for
            its own share, from the seed, the stage, the step and the rank; so it differs from that of one process.

    Returns:
        The history, one row per ``row_every`` steps, and the number of forward+backward passes.

    Raises:
        UserError: too few images for one batch, too little memory, or the loss is no longer finite.
    """
    if len(feed) < training.batch_size:
        raise UserError(
            f"{stage}: batch_size is {training.batch_size}, but there are only {len(feed)} training images; "
            "lower batch_size"
        )
    network, device = engine.network, feed.device
    loop.images = training.batch_size
    share = training.batch_size // ranks.size
    require_step(network, shape, engine.precision, device, share, stage, objective)
    optimizer = Sgd(network.parameters(), training.momentum, training.weight_decay)
    drops = [math.ceil(share * training.steps) for share in training.lr_drops]
    # The state so far; with the network and the optimiser it is all that a checkpoint needs.
    # "sums" are of the loss and of the accuracy over the "since" steps since the last row of the history.
    progress: dict[str, Any] = {
        "step": 0,
        "passes": 0,
        "history": [],
        "sums": torch.zeros(2, device=device),
        "since": 0,
    }
    saved = loop.restore()
    if saved is not None:
        network.load_state_dict(saved["network"])
        optimizer.restore(saved["optimizer"])
        for tensor, value in zip(carried, saved["carried"], strict=True):
            tensor.copy_(value)
        progress = saved["progress"] | {"sums": saved["progress"]["sums"].to(device)}
    history: list[Row] = progress["history"]
    ranks.require_same(progress["step"])
    trained = ranks.trained(network)

    def require_sound() -> None:
        """Make sure that the losses, weights and running statistics so far are finite."""
        sizes = sum(value.detach().abs().sum() for value in network.state_dict().values())
        _require_finite(float(progress["sums"][0] + sizes), stage, progress["step"], loop)

    def snapshot() -> dict[str, Any]:
        require_sound()
        return {
            "network": network.state_dict(),
            "optimizer": optimizer.state(),
            "progress": progress,
            "carried": carried,
        }

    def report() -> str:
        latest = dict(history[-1]) if history else {}
        if progress["since"]:
            means = (progress["sums"] / progress["since"]).tolist()
            latest |= dict(zip(("loss", "batch_accuracy"), means, strict=True))
        return ", ".join(f"{name} {value:.4g}" for name, value in latest.items() if name not in ("step", "passes"))

    chosen = _batches(len(feed), training, progress["step"], seed, stage)
    for step, (images, y, rows) in enumerate(feed.batches(map(ranks.part, chosen)), start=progress["step"]):
        x = images.float()
        with engine.frozen() as fixed:
            lesson = inputs(fixed, x, y, rows, generator(seed, stage, step, device=device))
            progress["passes"] += fixed.images // len(x) + objective_passes
        network.train()
        torch.manual_seed(derived_seed(seed, stage, "dropout", step, *ranks.place))  # dropout takes no generator
        with autocast(device, engine.precision):
            loss, logits = objective(trained, lesson)
        optimizer.forget_gradients()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(training.lr * training.lr_factor ** sum(step >= drop for drop in drops))
        progress["sums"] += ranks.mean(torch.stack([loss.detach(), (logits.argmax(1) == y).float().mean()]))
        progress["since"] += 1
        progress["step"] = step + 1

        if progress["step"] % row_every == 0 or progress["step"] == training.steps:
            mean_loss, mean_accuracy = (progress["sums"] / progress["since"]).tolist()
            _require_finite(mean_loss, stage, progress["step"], loop)
            row = {"step": progress["step"], "loss": mean_loss, "batch_accuracy": mean_accuracy}
            history.append(row | {"passes": progress["passes"]} | measure())
            progress |= {"sums": torch.zeros(2, device=device), "since": 0}
        loop.after(progress["step"], training.steps, snapshot, report)
    require_sound()
    return history, progress["passes"]


def _batches(rows: int, training: Training, step: int, seed: int, stage: str) -> Iterator[Array]:
    """The rows of each batch from ``step`` on: whole batches in an order drawn again for every epoch."""
    batches = rows // training.batch_size
    order, epoch = np.empty(0, np.int64), -1
    for now in range(step, training.steps):
        if now // batches != epoch:
            epoch = now // batches
            order = torch.randperm(rows, generator=generator(seed, stage, "order", epoch)).numpy()
        at = now % batches * training.batch_size
        yield order[at : at + training.batch_size]


def _require_finite(loss: float, stage: str, step: int, loop: Loop) -> None:
    if not math.isfinite(loss):
        kept = loop.checkpoint if loop.checkpoint is not None and loop.checkpoint.exists() else None
        raise UserError(
            f"{stage}: the loss or the weights are not finite ({loss}) at step {step}; lower lr. "
            + (f"The last good state is kept in {kept}" if kept else "No checkpoint had been written yet")
        )
