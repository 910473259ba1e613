"""The job's side of a source model: trained in this process, or by several ranks under torchrun.

The ranks' logs go through a pipe into the job's. Whichever process dies, the others end: torchrun and the ranks with
the job, the job when torchrun ends, which ends when a rank does.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import torch

from unlearnable.datasets.shards import load
from unlearnable.errors import Stopped, UserError
from unlearnable.jobs.ranks.mailbox import Meeting, Task
from unlearnable.jobs.snakemake_process import Process
from unlearnable.settings import plain
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.source_model import require_shareable, train_source_model
from unlearnable.training.loop import Loop

log = logging.getLogger(__name__)
POLL = 0.1  # seconds between two looks at the ranks
FAREWELL = 60.0  # seconds that ranks have to part when all have said that they leave
GRACE = 5.0  # seconds that ranks have to leave after one of them has failed; torchrun alone would give them 30


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
) -> None:
    """Train a source model.

    Args:
        settings: what to train.
        dataset: the folder of the clean images.
        loop: progress, checkpoints and time.
        device: where to compute; of several ranks, the kind of each one's device.
        model, history, metrics: the files to write.
        ranks: how many processes share the training, each on its own device.
        threads: how many of the processor's the job has, altogether.

    Raises:
        Stopped: the state is saved.
        UserError: the ranks cannot share the training, or one of them was killed; or as for ``train_source_model``.
        RuntimeError: a rank failed; with its traceback.
    """
    if ranks == 1:
        train_source_model(settings, load(dataset, "train"), loop, device, model, history, metrics)
        return
    require_shareable(settings, ranks)
    train_on_ranks(
        Task(
            *(plain(settings), str(dataset), model, history, metrics),
            *(None if loop.checkpoint is None else str(loop.checkpoint), loop.fingerprint, loop.every, loop.deadline),
            *(device.type, ranks, max(1, threads // ranks), os.getpid()),
        ),
        loop,
    )


def train_on_ranks(task: Task, loop: Loop) -> None:
    """Start the ranks, pass on what they log and that they are to stop, and wait for their end.

    Args:
        task: what to train.
        loop: asked to stop by this process's signals; it takes no steps itself.

    Raises:
        Stopped: the state is saved, and the ranks have stopped.
        UserError: they refused the task, or one of them was killed.
        RuntimeError: one of them failed; with its traceback.
    """
    from unlearnable.jobs.ranks import torchrun  # here, because one process does without them
    from unlearnable.jobs.ranks import worker as rank

    with tempfile.TemporaryDirectory(prefix="unlearnable-ranks-") as folder:
        meeting = Meeting(folder)
        meeting.set_task(task)
        package = str(Path(__file__).parents[3])
        process = subprocess.Popen(
            [sys.executable, "-m", torchrun.__name__, rank.__name__, folder, str(os.getpid())],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
            | {"PYTHONSAFEPATH": "1"}  # nothing in the working directory takes the place of a module
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
                    meeting.request_stop()
                if _late(meeting, task.ranks) and _some_live(meeting, task.ranks):
                    process.kill()
        finally:
            process.kill()
            process.wait()
            relay.join(GRACE)  # the pipe ends with the last rank
        _judge(meeting, task.ranks, process.returncode)
    loop.done()


def _relay(lines: IO[str]) -> None:
    with lines:
        for line in lines:
            log.info("%s", line.rstrip("\n"))


def _late(meeting: Meeting, ranks: int) -> bool:
    """Whether all ranks should have ended by now: one of them has failed, or all have said that they leave."""
    now, outcomes = time.monotonic(), meeting.outcomes().values()
    failed = [outcome.time for outcome in outcomes if outcome.kind != "stopped"]
    if failed:
        return now - min(failed) > GRACE
    return len(outcomes) == ranks and now - max(outcome.time for outcome in outcomes) > FAREWELL


def _some_live(meeting: Meeting, ranks: int) -> bool:
    """Whether a rank has not begun, or not ended; torchrun tells who was killed, when all are gone."""
    numbers = [meeting.process(who) for who in range(ranks)]
    return any(number is None or not Process(number).gone() for number in numbers)


def _judge(meeting: Meeting, ranks: int, status: int) -> None:
    """Raise what the ranks ended with; the first cause, where one's end was the end of the others."""
    outcomes = sorted(meeting.outcomes().items(), key=lambda item: item[1].time)
    for _, outcome in outcomes:
        if outcome.kind == "refused":
            raise UserError(outcome.message)
    if meeting.killed is not None:
        who, number = meeting.killed
        raise UserError(f"rank {who} (of {ranks}, counted from 0) {_killed_by(number)}")
    for who, outcome in outcomes:
        if outcome.kind == "failed":
            raise RuntimeError(f"rank {who} (of {ranks}, counted from 0) failed:\n{outcome.message}")
    if outcomes:
        raise Stopped(min(outcomes)[1].message)  # the first rank's, who knows why
    if status < 0:
        raise UserError(f"torchrun, which runs the {ranks} ranks, {_killed_by(-status)}")
    if status != 0:
        raise RuntimeError(f"torchrun ended with status {status}, and no rank said why")


def _killed_by(number: int) -> str:
    return f"was killed by {signal.Signals(number).name}; the same command goes on from the last checkpoint"
