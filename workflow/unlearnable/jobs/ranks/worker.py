"""One of the processes that train a source model together; torchrun runs one for each device."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from unlearnable.compute.device import describe, set_up
from unlearnable.datasets.protected import read_noise
from unlearnable.datasets.shards import load
from unlearnable.errors import Stopped
from unlearnable.jobs import leases, snakemake_process
from unlearnable.jobs.presence import join
from unlearnable.jobs.ranks.mailbox import STOP, TrainingTask
from unlearnable.jobs.ranks.torchrun import end_with
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.source_model import train_source_model
from unlearnable.training.loop import Loop, State
from unlearnable.training.ranks import ALONE, Group, Ranks

FAREWELL = 60  # seconds for a rank to leave the group after all have stopped
GRACE = 5  # seconds for a rank to leave after it has failed


@dataclass
class JointLoop(Loop):
    """A loop shared by several ranks: the first one reports and saves, and all leave after the same step.

    Attributes:
        ranks: the processes that share it.
        elsewhere: whether another process has asked the loop to stop.
    """

    ranks: Ranks = ALONE
    elsewhere: Callable[[], bool] = bool

    def done(self) -> None:
        """Keep the checkpoint: the job removes it once all ranks have succeeded."""

    def after(self, step: int, steps: int, state: Callable[[], State], report: Callable[[], str]) -> None:
        """As in ``Loop``; a signal to a rank other than the first takes effect one step later.

        Raises:
            Stopped: on all ranks.
        """
        stopped = None
        if self.ranks.rank == 0:
            self.stop_requested |= self.elsewhere()
            try:
                super().after(step, steps, state, report)
            except Stopped as error:
                stopped = error
        left, asked = self.ranks.any(stopped is not None, self.stop_requested)
        if left:
            raise stopped or Stopped("the first rank has saved the state")
        self.stop_requested = asked


def train(task: TrainingTask, stop: Path) -> None:
    """This rank's part of the training; the file ``stop`` asks it to save its state and stop.

    Raises:
        Stopped: the first rank has saved the state.
        UserError: the task cannot be done.
    """
    if leases.TOKEN in os.environ:
        leases.share()
    set_up(task.threads)
    if task.device == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    else:
        device = torch.device("cpu")
        dist.init_process_group("gloo")
    ranks, job = Group(), snakemake_process.Process(task.job)
    loop = JointLoop(
        checkpoint=None if task.checkpoint is None else Path(task.checkpoint),
        fingerprint=task.fingerprint,
        every=task.every,
        deadline=task.deadline,
        unwanted=snakemake_process.why_unwanted(snakemake_process.snakemake()),
        device=ranks.named(describe(device)),
        ranks=ranks,
        elsewhere=lambda: stop.exists() or job.gone(),
    )

    def request_stop(*_: object) -> None:  # batch systems send it several times, so a second one does not interrupt
        loop.stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    images = load(task.dataset, "train")
    train_source_model(
        SourceModelSettings.model_validate(task.config),
        images,
        loop,
        device,
        task.model,
        task.history,
        task.metrics,
        base=None if task.base is None else read_noise(Path(task.base), Path(task.dataset))[1],
        made=task.made,
        ranks=ranks,
    )


def main() -> None:
    """Train as one rank and, if it ends early, record why; started by torchrun."""
    folder, torchrun = Path(sys.argv[1]), int(sys.argv[2])
    end_with(torchrun)
    logging.basicConfig(level=logging.ERROR if int(os.environ["RANK"]) else logging.INFO, format="%(message)s")
    try:
        with join():
            train(TrainingTask.read(folder), folder / STOP)
    except Exception as error:  # not swallowed: the job raises it
        get_error_handler().record_exception(error)
        stopped = isinstance(error, Stopped)
        signal.alarm(FAREWELL if stopped else GRACE)  # the kernel ends a rank that hangs, or torchrun would wait
        if stopped:
            leave_group()
        sys.exit(1)
    leave_group()


def leave_group() -> None:
    """Leave the group together with all ranks; after a failure this could wait forever."""
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
