"""Ctrl-C, and other requests to stop, end in one line for each running job, which the job prints itself.

Snakemake takes a job that stopped for a failed one, and reports its command, its files and the end of its log. This
stays in Snakemake's own log file, and off the terminal.
"""

from __future__ import annotations

import logging
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from unlearnable.jobs.job import AGAIN_LATER

STOPPED = re.compile(rf"returned non-zero exit status {AGAIN_LATER}\.")


def one_line_each(logger: logging.Logger, workflow: Any) -> None:
    """Let the jobs of the run that begins print this line, and Snakemake nothing more on the terminal.

    Args:
        logger: Snakemake's.
        workflow: Snakemake's, as in a Snakefile.
    """
    logger.addFilter(_Attendant(workflow))
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(lambda record: not about_stopped(record))


def about_stopped(record: logging.LogRecord) -> bool:
    """Whether a message from Snakemake reports a job that stopped."""
    return getattr(record, "stopped", False)


def start_without_interrupts(pool: ThreadPoolExecutor, threads: int) -> None:
    """Start the threads of a pool, so that Ctrl-C is blocked in the processes that they start.

    A job unblocks it once it can stop with one line; before that, Python would print where in its imports it was.

    Args:
        pool: a new one.
        threads: the number of its threads.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # inherited by threads, and by their processes
    try:
        all_started = threading.Barrier(threads + 1)
        for _ in range(threads):
            pool.submit(all_started.wait)
        all_started.wait()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Attendant(logging.Filter):
    """Prepares the run when it begins, and marks the messages about stopped jobs.

    These are two, one right after the other in the thread that waited for the job: how its command ended, and which
    rule that was.
    """

    def __init__(self, workflow: Any) -> None:
        super().__init__()
        self._workflow = workflow
        self._last = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        match getattr(record, "event", None):
            case LogEvent.RUN_INFO if not self._workflow.dryrun:
                scheduler = self._workflow.scheduler
                for executor in (scheduler._executor, scheduler._local_executor):
                    if hasattr(executor, "pool"):  # it runs jobs on this machine
                        start_without_interrupts(executor.pool, executor.workers)
            case LogEvent.ERROR:
                record.stopped = self._last.stopped = STOPPED.search(record.getMessage()) is not None
            case LogEvent.JOB_ERROR:
                record.stopped, self._last.stopped = getattr(self._last, "stopped", False), False
        return True
