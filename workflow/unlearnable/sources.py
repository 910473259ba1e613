"""Source models: the network theta whose frozen weights the noise is computed with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unlearnable import files, registry
from unlearnable.attacks import FrozenNetwork, uniform
from unlearnable.data.images import Split
from unlearnable.device import choose_precision, describe, peak_memory
from unlearnable.engine import prepare
from unlearnable.history import write_history
from unlearnable.models import create, save
from unlearnable.problem import problem_of
from unlearnable.randomness import generator
from unlearnable.resume import Loop
from unlearnable.settings.methods.descent import NoiseDescent
from unlearnable.settings.training import SourceModel
from unlearnable.training import fit


def train_source_model(
    config: dict[str, Any],
    train: Split,
    loop: Loop,
    device: torch.device,
    model: str | Path,
    history: str | Path,
    metrics: str | Path,
) -> None:
    """Train theta: min-min-max for REM (Fu et al. 2022, Algorithm 1) and its kin, standard training for clean.

    Args:
        config: the stage's settings, as ``Study.source_config`` gives them.
        train: the clean training images.
        loop: progress, checkpoints and time.
        device: where to compute.
        model: safetensors file to write.
        history: Parquet file to write, one row for every ``history_every`` steps.
        metrics: JSON file to write.
    """
    training = SourceModel(**config["training"])
    problem = problem_of(config, len(train.classes))
    method = registry.load("noises", config["method"]["algorithm"])
    images, labels = train.on(device)
    channels, size = images.shape[1:3]
    network = create(training.network, channels, len(train.classes), size, config["seed"], device, training.stem)
    warm = isinstance(problem.settings, NoiseDescent) and problem.settings.start == "previous"
    first = generator(config["seed"], "source model", "start", device=device)
    kept = uniform(images.float(), problem.rho_u, first).round().to(torch.int16) if warm else None

    def inputs(fixed: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Tensor:
        d = method.noise(fixed, x, y, problem, draws, None if kept is None else kept[rows].float())
        if kept is not None:
            kept[rows] = d.to(kept.dtype)
        pixels: Tensor = method.training_inputs(fixed, x, y, d, problem, draws)
        return pixels

    engine = prepare(
        network,
        tuple(images.shape[1:]),
        choose_precision(training.precision, device),
        training.steps * method.training_passes(problem.settings),
    )
    rows, passes = fit(
        engine,
        images,
        labels,
        training,
        inputs,
        loop,
        carried=() if kept is None else (kept,),
        seed=config["seed"],
        stage="source model",
        row_every=training.history_every,
    )
    save(network, model)
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
            "device": describe(device),
        },
    )
    loop.done()
