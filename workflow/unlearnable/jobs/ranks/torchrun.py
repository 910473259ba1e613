"""The process between a job and its ranks: torchrun, with a word about a rank that was killed.

It ends with the job, and the ranks with it, by the kernel's hand (Linux).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from unlearnable.jobs.ranks.mailbox import Meeting

SAME_TIME = 2  # seconds between the deaths of a rank and of those who wait for it, at most; torchrun counts whole ones


def end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies; where it cannot (not Linux), only look whether it lives.

    Raises:
        SystemExit: the parent is dead already.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        sys.exit(f"process {parent}, which started this one, is gone")


def main() -> None:
    """Run torchrun on the task of a folder and report a rank that was killed; started by ``unlearnable.launch``."""
    module, folder, job = sys.argv[1:]
    end_with(int(job))
    # Terminals and batch systems send signals to every process of a job. The ranks are stopped by the job itself;
    # torchrun would only give them less time. They inherit the mask, and let SIGTERM through when they can handle it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are here, and a host's name may lead elsewhere
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the job says it in one line
    meeting = Meeting(folder)
    options = ["--standalone", "--local-addr", "127.0.0.1", "--max-restarts", "0"]
    options += ["--nproc-per-node", str(meeting.task.ranks)]
    try:
        run.main([*options, "-m", module, folder, str(os.getpid())])
    except ChildFailedError as error:
        first = min(failure.timestamp for failure in error.failures.values())
        # Torchrun itself kills the others: those that leave with a word, and later those that hang. NCCL aborts a rank
        # whose peers are gone.
        order = sorted(
            error.failures.items(), key=lambda item: (item[1].exitcode == -signal.SIGABRT, item[1].timestamp)
        )
        for rank, failure in order:
            left = meeting.outcomes()
            silent = rank not in left and failure.timestamp <= first + SAME_TIME
            if silent and failure.exitcode < 0 and not (failure.exitcode == -signal.SIGABRT and left):
                meeting.report_killed(rank, -failure.exitcode)
                break
        sys.exit(1)


if __name__ == "__main__":
    main()
