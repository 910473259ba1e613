"""One of the processes that train a source model together: what torchrun runs for each device."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from unlearnable.compute.device import describe, set_up
from unlearnable.datasets.shards import load
from unlearnable.errors import Stopped, UserError
from unlearnable.jobs import leases
from unlearnable.jobs import snakemake_process as parent
from unlearnable.jobs.presence import join
from unlearnable.jobs.ranks.mailbox import Meeting, Task
from unlearnable.jobs.ranks.torchrun import end_with
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.source_model import train_source_model
from unlearnable.training.loop import Loop, State
from unlearnable.training.ranks import ALONE, Group, Ranks


@dataclass
class JointLoop(Loop):
    """A loop that several ranks go through: the first one reports and saves, and all leave after the same step.

    Attributes:
        ranks: who goes through it.
        elsewhere: whether somebody outside of this process wants the loop to stop.
    """

    ranks: Ranks = ALONE
    elsewhere: Callable[[], bool] = bool

    def done(self) -> None:
        """Keep the checkpoint: the job removes it when all ranks have ended well."""

    def after(self, step: int, steps: int, state: Callable[[], State], report: Callable[[], str]) -> None:
        """As in ``Loop``; a signal to another rank than the first counts one step later.

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


def train(task: Task, meeting: Meeting) -> None:
    """This rank's part of the training.

    Raises:
        Stopped: the first rank has saved the state.
        UserError: the task cannot be done.
    """
    if leases.TOKEN in os.environ:
        leases.join()
    set_up(task.threads)
    if task.device == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    else:
        device = torch.device("cpu")
        dist.init_process_group("gloo")
    ranks, job = Group(), parent.Process(task.job)
    loop = JointLoop(
        checkpoint=None if task.checkpoint is None else Path(task.checkpoint),
        fingerprint=task.fingerprint,
        every=task.every,
        deadline=task.deadline,
        unwanted=parent.why_unwanted(parent.snakemake()),
        device=ranks.named(describe(device)),
        ranks=ranks,
        elsewhere=lambda: meeting.stop_requested or job.gone(),
    )

    def request_stop(*_: object) -> None:  # a batch system sends it several times, so also a second one only asks
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
        ranks=ranks,
    )


def main() -> None:
    """Train as one rank, and leave word why if it ends early; started by ``unlearnable.torchrun``."""
    folder, torchrun = sys.argv[1], int(sys.argv[2])
    end_with(torchrun)
    rank, meeting = int(os.environ["RANK"]), Meeting(folder)
    meeting.arrive(rank)
    logging.basicConfig(level=logging.ERROR if rank else logging.INFO, format="%(message)s")
    try:
        with join():
            train(meeting.task, meeting)
    except Stopped as error:
        meeting.leave(rank, "stopped", str(error))
    except UserError as error:
        meeting.leave(rank, "refused", str(error))
        sys.exit(1)
    except Exception:  # not swallowed: the job raises it
        meeting.leave(rank, "failed", traceback.format_exc())
        sys.exit(1)
    if dist.is_initialized():
        dist.destroy_process_group()  # together; after a failure it could wait for ever


if __name__ == "__main__":
    main()
