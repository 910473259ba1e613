"""The process between a job and its ranks: torchrun, which says why they ended early.

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

SAME_TIME = 2  # seconds between the deaths of a rank and of those that wait for it, at most; torchrun counts whole ones


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


def killed_by(number: int) -> str:
    """What to say of a process that a signal ended."""
    return f"was killed by {signal.Signals(number).name}; the same command continues from the last checkpoint"


def outcome_of(failures: dict[int, ProcessFailure], ranks: int) -> Outcome:
    """What ranks ended with; the first cause, where the end of one was the end of the others.

    Args:
        failures: of each rank that did not end well, as torchrun has them.
        ranks: how many there were.
    """
    wrote = {rank: failure for rank, failure in failures.items() if os.path.isfile(failure.error_file)}
    in_order = sorted(wrote, key=lambda rank: os.stat(wrote[rank].error_file).st_mtime_ns)
    said = {rank: wrote[rank].error_file_data["message"] for rank in in_order}
    raised = {rank: about["message"].partition(": ")[::2] for rank, about in said.items()}  # the exception and its text
    for kind, text in raised.values():
        if kind == "UserError":
            return Outcome(kind, text)
    # Torchrun itself kills the others later, those that hang; and NCCL aborts a rank whose peers are gone.
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
        return Outcome("Stopped", raised[min(raised)][1])  # the first rank knows the reason
    status = next(iter(failures.values())).exitcode
    return Outcome("RuntimeError", f"a rank ended with status {status} and did not say why")


def main() -> None:
    """Run torchrun on the task of a folder and say there why it failed; started by ``launch``."""
    module, folder, job = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    end_with(job)
    # Terminals and batch systems send signals to every process of a job. The ranks are stopped by the job itself;
    # torchrun would only give them less time. They inherit the mask, and let SIGTERM through when they can handle it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are here, and a host's name may lead elsewhere
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the job says it in one line
    ranks = TrainingTask.read(folder).ranks
    options = ["--standalone", "--local-addr", "127.0.0.1", "--max-restarts", "0", "--nproc-per-node", str(ranks)]
    try:
        run.main([*options, "--log-dir", str(folder), "-m", module, str(folder), str(os.getpid())])
    except ChildFailedError as error:
        outcome_of(error.failures, ranks).write(folder)
        sys.exit(1)


if __name__ == "__main__":
    main()
