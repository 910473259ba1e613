"""The process between a job and its ranks: torchrun, which reports why they ended early.

It ends when the job does, and the ranks end with it: the kernel kills them (Linux).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from unlearnable.jobs.ranks.mailbox import Outcome, TrainingTask

SAME_TIME = 2  # most seconds between the deaths of a rank and of ranks that wait for it; torchrun counts whole seconds


def end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies; elsewhere than on Linux, only check that it lives.

    Raises:
        SystemExit: the parent is already dead.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        sys.exit(f"process {parent}, which started this one, is gone")


def killed_by(number: int) -> str:
    """The message for a process ended by a signal."""
    return f"was killed by {signal.Signals(number).name}; the same command continues from the last checkpoint"


def outcome_of(failures: dict[int, ProcessFailure], ranks: int) -> Outcome:
    """The outcome of failed ranks: the first cause, if the failure of one rank ended the others.

    Args:
        failures: of each failed rank, from torchrun.
        ranks: number of ranks.
    """
    wrote = {rank: failure for rank, failure in failures.items() if os.path.isfile(failure.error_file)}
    in_order = sorted(wrote, key=lambda rank: os.stat(wrote[rank].error_file).st_mtime_ns)
    said = {rank: wrote[rank].error_file_data["message"] for rank in in_order}
    raised = {rank: about["message"].partition(": ")[::2] for rank, about in said.items()}  # the exception and its text
    for kind, text in raised.values():
        if kind == "UserError":
            return Outcome(kind, text)
    # Torchrun kills ranks that hang later, and NCCL aborts a rank whose peers are gone.
    first = min(failure.timestamp for failure in failures.values())
    order = sorted(failures.items(), key=lambda item: (item[1].exitcode == -signal.SIGABRT, item[1].timestamp))
    for rank, failure in order:
        number = -failure.exitcode
        at_once = rank not in said and failure.timestamp <= first + SAME_TIME
        if at_once and number > 0 and not (number == signal.SIGABRT and said):
            return Outcome("UserError", f"rank {rank} (of {ranks}, counted from 0) {killed_by(number)}")
    for rank, (kind, _) in raised.items():
        if kind != "Stopped":
            trace = said[rank]["extraInfo"]["py_callstack"]
            return Outcome("RuntimeError", f"rank {rank} (of {ranks}, counted from 0) failed:\n{trace}")
    if raised:
        return Outcome("Stopped", raised[min(raised)][1])  # the first rank has the reason
    status = next(iter(failures.values())).exitcode
    return Outcome("RuntimeError", f"a rank ended with status {status} without giving a reason")


def main() -> None:
    """Run torchrun on the task in a folder and write there why it failed; started by ``launch``."""
    module, folder, job = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    end_with(job)
    # Terminals and batch systems send signals to every process of a job. The job itself stops the ranks; torchrun would
    # only give them less time. They inherit the mask, and unblock SIGTERM once they can handle it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # ranks share this host, but its name may not resolve to it
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the job reports failures in one line
    ranks = TrainingTask.read(folder).ranks
    options = ["--standalone", "--local-addr", "127.0.0.1", "--max-restarts", "0", "--nproc-per-node", str(ranks)]
    try:
        run.main([*options, "--log-dir", str(folder), "-m", module, str(folder), str(os.getpid())])
    except ChildFailedError as error:
        outcome_of(error.failures, ranks).write(folder)
        sys.exit(1)


if __name__ == "__main__":
    main()
