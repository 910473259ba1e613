"""What Snakemake measured of jobs is read_benchmark, and refused where it is not whole."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from snakemake.benchmark import benchmarked, write_benchmark_records

from unlearnable.errors import UserError
from unlearnable.products.benchmark_files import read_benchmark, usage

WHOLE = '{"max_pss": 120.0, "s": 4.25}\n'
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
    assert found["host_memory_mib"] > 1


def test_seconds_are_summed_and_the_largest_memory_counts(written: Callable[[str], Path]) -> None:
    jobs = [written(WHOLE), written('{"max_pss": 80.5, "s": 2}\n')]
    assert usage(jobs) == {"job_seconds": 6.25, "host_memory_mib": 120.0}


@pytest.mark.parametrize("memory", ['"NA"', "0.0"])
def test_what_the_system_did_not_tell_is_unknown(memory: str, written: Callable[[str], Path]) -> None:
    found = usage([written(WHOLE), written(f'{{"max_pss": {memory}, "s": 2}}\n')])
    assert found["job_seconds"] == 6.25
    assert math.isnan(found["host_memory_mib"])


def test_what_a_clock_that_was_set_back_measured_is_unknown(written: Callable[[str], Path]) -> None:
    assert math.isnan(usage([written('{"max_pss": 80.5, "s": -2}\n')])["job_seconds"])


def test_what_is_missing_or_damaged_is_unknown_and_the_log_tells_what_is_damaged(
    written: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, damaged = written(WHOLE), written(WHOLE[:-10])
    assert all(map(math.isnan, usage([whole, tmp_path / "missing.jsonl"]).values()))
    assert caplog.text == ""
    assert all(map(math.isnan, usage([whole, damaged]).values()))
    assert str(damaged) in caplog.text


@pytest.mark.parametrize(
    "content",
    ["", WHOLE[:-10], WHOLE + WHOLE, "[1]\n", '{"s": 1}\n', WHOLE.replace("4.25", '"x"'), "[" * 10**5],
    ids=["empty", "cut off", "two jobs", "no object", "without memory", "no number", "nested"],
)
def test_a_file_that_is_not_whole_is_refused_in_one_line(content: str, written: Callable[[str], Path]) -> None:
    path = written(content)
    with pytest.raises(
        UserError, match=rf"^{re.escape(str(path))}: .*; delete it, cost tables do not need it$"
    ) as refused:
        read_benchmark(path)
    assert "\n" not in str(refused.value)
