"""What Snakemake measured of jobs from outside: the files that rules name as ``benchmark``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from unlearnable.errors import UserError
from unlearnable.files import anew

SECONDS, CPU_SECONDS, MEMORY = "job_seconds", "cpu_seconds", "host_memory_mib"
NAMES = {"s": SECONDS, "cpu_time": CPU_SECONDS, "max_rss": MEMORY}  # by what Snakemake calls them
UNKNOWN = "NA"  # what it writes where the system did not tell


def usage(paths: Iterable[str | Path]) -> dict[str, float]:
    """What some jobs took: the sums of their seconds, on the clock and of CPU, and the memory (MiB) of the largest.

    Of a job that was killed and went on it is what its last attempt took. What the system did not tell is nan.

    Args:
        paths: Snakemake's ``benchmark`` files in the format ``.jsonl``, at least one.

    Raises:
        UserError: one of them is not, or not whole.
    """
    jobs = [_read(path) for path in paths]
    sums = {name: math.fsum(job[name] for job in jobs) for name in (SECONDS, CPU_SECONDS)}
    return sums | {MEMORY: float(np.max([job[MEMORY] for job in jobs]))}


def _read(path: str | Path) -> dict[str, float]:
    try:
        measured = json.loads(Path(path).read_text(encoding="utf-8"))
        values = {name: measured[key] for key, name in NAMES.items()}
        values = {name: math.nan if value == UNKNOWN else float(value) for name, value in values.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: not what Snakemake measured of one job ({error!r}); {anew(path)}") from error
    if any(value < 0 or math.isinf(value) for value in values.values()):
        raise UserError(f"{path}: a job cannot have taken {values}; {anew(path)}")
    return values
