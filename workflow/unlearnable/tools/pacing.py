"""Lets Snakemake start jobs on this machine without a limit of their rate.

By default it starts at most 100 jobs a second and, to that end, looks through all waiting jobs again a second after
each look. Every job that ends adds a look, so after 200 jobs it looks 200 times a second, which took a sixth of all CPU
time of the headline study. On a cluster the limit stays, for its scheduler's sake.
"""

from __future__ import annotations

import logging
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent


def start_jobs_unpaced(logger: logging.Logger, workflow: Any) -> None:
    """Remove the limit when the run begins, if its jobs run here.

    Args:
        logger: Snakemake's.
        workflow: Snakemake's, as in a Snakefile.
    """
    logger.addHandler(_Unpaced(workflow))


class _Unpaced(logging.Handler):
    def __init__(self, workflow: Any) -> None:
        super().__init__(logging.INFO)
        self._workflow = workflow

    def emit(self, record: logging.LogRecord) -> None:
        """Handle one message from Snakemake; that of the run's begin comes before the first look for jobs."""
        if getattr(record, "event", None) == LogEvent.RUN_INFO and self._workflow.local_exec:
            self._workflow.scheduler.job_rate_limiter = None
