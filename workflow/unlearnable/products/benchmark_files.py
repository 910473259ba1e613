"""Snakemake's own measurements of jobs: the files that rules name as ``benchmark``.

Only a table of costs may depend on them: a missing file must not make a training run again.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unlearnable import files
from unlearnable.errors import UserError

log = logging.getLogger(__name__)
SECONDS, MEMORY = "job_seconds", "host_memory_mib"
LIMIT = 2**20  # bytes of a file; a job's are a few hundred
NOT_NEEDED = "delete it, cost tables do not need it"
UNKNOWN = {SECONDS: math.nan, MEMORY: math.nan}


def usage(paths: Sequence[str | Path]) -> dict[str, float]:
    """The cost of jobs: the sum of their wall-clock seconds, and the largest memory (MiB).

    For a job that was killed and resumed, only the last attempt counts. A value is nan unless it is known for every
    job: a file may be missing or damaged, which is logged, or the system did not provide the value.

    Args:
        paths: Snakemake's ``benchmark`` files in the format ``.jsonl``.
    """
    try:
        jobs = [read_benchmark(path) for path in paths]
    except FileNotFoundError:
        jobs = [UNKNOWN]
    except UserError as error:
        log.warning("%s", error)
        jobs = [UNKNOWN]
    return {
        SECONDS: math.fsum(job[SECONDS] for job in jobs),
        MEMORY: float(np.max([job[MEMORY] for job in jobs])),  # unlike Python's max, nan if one of them is
    }


def read_benchmark(path: str | Path) -> dict[str, float]:
    """The cost of one job.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is not such a file, or incomplete; Snakemake writes them in place and without a hash.
    """
    try:
        content = files.read_whole(path, LIMIT)
    except UserError as error:
        raise UserError(f"{error}; {NOT_NEEDED}") from error
    try:
        measured = json.loads(content.decode())
        return {SECONDS: _known(measured["s"]), MEMORY: _known(measured["max_pss"])}
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: not Snakemake's benchmark file of one job ({error!r}); {NOT_NEEDED}") from error


def _known(value: str | float) -> float:
    """The number, or nan if Snakemake did not know it: it says so, the clock was set back, or memory is 0."""
    number = math.nan if value == "NA" else float(value)
    return number if number > 0 and math.isfinite(number) else math.nan
