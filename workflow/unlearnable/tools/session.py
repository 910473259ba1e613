"""The start of a Snakefile: interpreter, environment of jobs, locks, and the record of the run.

Every job parses the Snakefile, so nothing here may import torch, numpy or pandas.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from unlearnable.errors import UserError
from unlearnable.jobs.presence import join_and_clear_dead_lock
from unlearnable.jobs.profile_check import require_workflow_profile
from unlearnable.jobs.snakemake_process import VARIABLE
from unlearnable.tools.pacing import start_jobs_unpaced
from unlearnable.tools.stops import one_line_each
from unlearnable.tools.watch.record import record


def begin(workflow: Any, logger: logging.Logger) -> None:
    """Prepare this process, its jobs and its working directory for a run of the workflow.

    Args:
        workflow: Snakemake's, as in a Snakefile.
        logger: Snakemake's.

    Raises:
        WorkflowError: the workflow profile on the command line does not exist, or the file that tells what runs here
            cannot be used.
    """
    # A plan of thousands of jobs has millions of objects that live until Snakemake ends. By default Python searches
    # them for garbage every few hundred new objects and frees each at exit: a third of the time of a dry run.
    gc.set_threshold(50_000, 20, 50)
    atexit.register(gc.freeze)
    root = Path(workflow.basedir)
    # Scripts import the library from this folder, even if another copy is installed.
    paths = [str(root / "workflow"), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.executable = shlex.quote(sys.executable)  # Snakemake pastes it into shell commands, spaces and all
    os.environ[VARIABLE] = str(os.getpid())  # a job stops when this process is gone
    if not workflow.is_main_process:
        return
    try:
        require_workflow_profile(sys.argv[1:], root, moved=workflow.overwrite_workdir is not None)
        running = join_and_clear_dead_lock()
    except UserError as error:
        raise WorkflowError(str(error)) from None
    atexit.register(running.close)  # open, and so locked, until Snakemake ends
    one_line_each(logger, workflow)
    record(logger, workflow)
    start_jobs_unpaced(logger, workflow)
