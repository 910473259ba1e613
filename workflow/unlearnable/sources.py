"""Source models: the network theta whose frozen weights the noise is computed with."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch

from unlearnable import files, registry
from unlearnable.data.images import Split
from unlearnable.descent import Problem
from unlearnable.device import describe, peak_memory
from unlearnable.history import write_history
from unlearnable.models import create, save
from unlearnable.problem import problem_of
from unlearnable.resume import Loop
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
    network = create(training.network, images.shape[1], len(train.classes), images.shape[2], config["seed"], device)
    rows, passes = fit(
        network,
        images,
        labels,
        training,
        functools.partial(_inputs, method.training_inputs, problem),
        loop,
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


def _inputs(training_inputs: Any, problem: Problem, network: Any, x: Any, y: Any, draws: Any) -> torch.Tensor:
    pixels: torch.Tensor = training_inputs(network, x, y, problem, draws)
    return pixels
