"""What Snakemake measured of jobs is read, and refused where it is not whole."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from snakemake.benchmark import benchmarked, write_benchmark_records

from unlearnable.accounting import usage
from unlearnable.errors import UserError

WHOLE = '{"cpu_time": 3.5, "max_rss": 120.0, "s": 4.25}\n'
BUSY = "import time; end = time.process_time() + 1\nwhile time.process_time() < end: pass"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a file with some content."""
    names = (tmp_path / f"{number}.jsonl" for number in range(10))

    def write(content: str) -> Path:
        path = next(names)
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_what_snakemake_itself_writes_is_understood(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    with benchmarked(process.pid) as record:
        process.wait()
    write_benchmark_records([record], str(tmp_path / "job.jsonl"), extended_fmt=False)
    found = usage([tmp_path / "job.jsonl"])
    assert found["job_seconds"] >= 1
    assert 0 <= found["cpu_seconds"] <= found["job_seconds"] * 1.5
    assert found["host_memory_mib"] > 1


def test_seconds_are_summed_and_the_largest_memory_counts(written: Callable[[str], Path]) -> None:
    jobs = [written(WHOLE), written('{"cpu_time": 1, "max_rss": 80.5, "s": 2}\n')]
    assert usage(jobs) == {"job_seconds": 6.25, "cpu_seconds": 4.5, "host_memory_mib": 120.0}


def test_what_the_system_did_not_tell_makes_the_sum_unknown(written: Callable[[str], Path]) -> None:
    found = usage([written(WHOLE), written('{"cpu_time": "NA", "max_rss": "NA", "s": 2}\n')])
    assert found["job_seconds"] == 6.25
    assert math.isnan(found["cpu_seconds"])
    assert math.isnan(found["host_memory_mib"])


@pytest.mark.parametrize(
    "content",
    ["", WHOLE[:-10], WHOLE + WHOLE, "[1]\n", '{"s": 1}\n', WHOLE.replace("3.5", '"x"'), WHOLE.replace("3.5", "-3.5")],
    ids=["empty", "cut off", "two jobs", "no object", "without memory", "no number", "negative"],
)
def test_a_file_that_is_not_whole_is_refused_in_one_line(content: str, written: Callable[[str], Path]) -> None:
    path = written(content)
    with pytest.raises(UserError, match=rf"^{re.escape(str(path))}: .*; delete .* and make it anew") as refused:
        usage([path])
    assert "\n" not in str(refused.value)
