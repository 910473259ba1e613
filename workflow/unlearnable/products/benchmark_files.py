"""What Snakemake measured of jobs from outside: the files that rules name as ``benchmark``.

Nothing may depend on them but a table of costs: a file that is missing must not make a training run again.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unlearnable.errors import UserError

log = logging.getLogger(__name__)
SECONDS, MEMORY = "job_seconds", "host_memory_mib"
UNKNOWN = {SECONDS: math.nan, MEMORY: math.nan}


def usage(paths: Sequence[str | Path]) -> dict[str, float]:
    """What some jobs took: the sum of their seconds by the clock, and the memory (MiB) of the largest.

    Of a job that was killed and went on it is what its last attempt took. A value is nan where it is not known of
    every job: a file is missing or damaged, which the log tells, or the system did not tell.

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
        MEMORY: float(np.max([job[MEMORY] for job in jobs])),  # unlike Python's own, nan where one of them is
    }


def read_benchmark(path: str | Path) -> dict[str, float]:
    """What one job took.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is not such a file, or not whole; Snakemake writes them in place, and without a hash.
    """
    try:
        measured = json.loads(Path(path).read_text(encoding="utf-8"))
        return {SECONDS: _known(measured["s"]), MEMORY: _known(measured["max_pss"])}
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path}: not what Snakemake measured of one job ({error!r}); delete it, cost tables do without"
        ) from error


def _known(value: str | float) -> float:
    """The number, or nan where Snakemake did not know: by its word, by a clock set back, or by memory of 0."""
    number = math.nan if value == "NA" else float(value)
    return number if number > 0 and math.isfinite(number) else math.nan
