"""The job's side of a source model: trained in this process, or by several ranks under torchrun.

The ranks' logs go through a pipe into the job's. If any process dies, the others end: torchrun and the ranks with the
job, torchrun when a rank ends, the job when torchrun ends.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import torch

from unlearnable.datasets.protected import read_noise
from unlearnable.datasets.shards import load
from unlearnable.errors import Stopped, UserError
from unlearnable.jobs.ranks.mailbox import STOP, Outcome, TrainingTask
from unlearnable.recipe import BY_HAND, Made
from unlearnable.settings import plain
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.source_model import require_shareable, train_source_model
from unlearnable.training.loop import Loop

log = logging.getLogger(__name__)
POLL = 0.1  # seconds between two looks at the ranks
GRACE = 5.0  # seconds to wait for the ranks' last lines after torchrun has ended
ENDS = {"Stopped": Stopped, "UserError": UserError, "RuntimeError": RuntimeError}


def source_model(
    settings: SourceModelSettings,
    dataset: Path,
    loop: Loop,
    device: torch.device,
    model: str,
    history: str,
    metrics: str,
    ranks: int,
    threads: int,
    *,
    base: Path | None = None,
    made: Made = BY_HAND,
) -> None:
    """Train a source model.

    Args:
        settings: of the training.
        dataset: the folder of the clean images.
        loop: progress, checkpoints and time.
        device: where to compute; with several ranks, the kind of device of each.
        model, history, metrics: the files to write.
        ranks: number of processes that share the training, each on its own device.
        threads: of the whole job.
        base: the folder of the merged noise that its noise starts from; None if there is none.
        made: what the source model is made with.

    Raises:
        Stopped: the state is saved.
        UserError: the ranks cannot share the training, or one of them was killed; or as for ``train_source_model``.
        RuntimeError: a rank failed; with its traceback.
    """
    if ranks == 1:
        train, noise = load(dataset, "train"), None if base is None else read_noise(base, dataset)[1]
        train_source_model(settings, train, loop, device, model, history, metrics, base=noise, made=made)
        return
    require_shareable(settings, ranks)
    train_on_ranks(
        TrainingTask(
            *(plain(settings), str(dataset), None if base is None else str(base), model, history, metrics, dict(made)),
            *(None if loop.checkpoint is None else str(loop.checkpoint), loop.fingerprint, loop.every, loop.deadline),
            *(device.type, ranks, max(1, threads // ranks), os.getpid()),
        ),
        loop,
    )


def train_on_ranks(task: TrainingTask, loop: Loop) -> None:
    """Start the ranks, forward their logs and any request to stop, and wait for their end.

    Args:
        task: what to train.
        loop: asked to stop by this process's signals; it takes no steps itself.

    Raises:
        Stopped: the state is saved, and the ranks have stopped.
        UserError: they refused the task, or one of them was killed.
        RuntimeError: one of them failed; with its traceback.
    """
    from unlearnable.jobs.ranks import torchrun, worker  # imported here, because a single process does not need them

    with tempfile.TemporaryDirectory(prefix="unlearnable-ranks-") as name:
        folder = Path(name)
        task.write(folder)
        package = str(Path(__file__).parents[3])
        process = subprocess.Popen(
            [sys.executable, "-m", torchrun.__name__, worker.__name__, name, str(os.getpid())],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
            | {"PYTHONSAFEPATH": "1"}  # nothing in the working directory replaces a module
            | {"OMP_NUM_THREADS": str(task.threads)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        relay = threading.Thread(target=_relay, args=[process.stdout], daemon=True)
        relay.start()
        try:
            while process.poll() is None:
                time.sleep(POLL)
                if loop.stop_requested:
                    (folder / STOP).touch()
        finally:
            process.kill()
            process.wait()
            relay.join(GRACE)  # the pipe ends with the last rank
        if process.returncode < 0:
            raise UserError(f"torchrun, which runs the {task.ranks} ranks, {torchrun.killed_by(-process.returncode)}")
        outcome = Outcome.read(folder)
    if outcome is not None:
        raise ENDS[outcome.kind](outcome.message)
    if process.returncode != 0:
        raise RuntimeError(f"torchrun ended with status {process.returncode}, and no rank said why")
    loop.done()


def _relay(lines: IO[str]) -> None:
    with lines:
        for line in lines:
            log.info("%s", line.rstrip("\n"))
