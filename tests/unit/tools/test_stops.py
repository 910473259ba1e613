"""What Snakemake prints of jobs that stopped because they were asked to."""

from __future__ import annotations

import io
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from unlearnable.tools.stops import one_line_each, start_without_interrupts

COMMAND = "CalledProcessError in file rules/noise.smk\nCommand 'python noise.py' returned non-zero exit status {}."


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[logging.Logger]:
    """A logger like Snakemake's, on a terminal and in a file, of a run that begins."""
    logger = logging.Logger("as Snakemake's", logging.INFO)
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    logger.addHandler(logging.FileHandler(tmp_path / "log"))
    one_line_each(logger, SimpleNamespace(dryrun=True))
    yield logger
    logger.handlers[1].close()


def printed(logger: logging.Logger) -> list[str]:
    handler = logger.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    return str(handler.stream.getvalue()).splitlines()


def report(logger: logging.Logger, end: str) -> None:
    """What Snakemake logs of a job that did not succeed."""
    logger.error(end, extra={"event": LogEvent.ERROR})
    logger.error("Error in rule noise:", extra={"event": LogEvent.JOB_ERROR})


def test_a_job_that_stopped_is_reported_in_the_log_file_alone(logger: logging.Logger, tmp_path: Path) -> None:
    report(logger, COMMAND.format(75))
    logger.info("Finished", extra={"event": LogEvent.JOB_FINISHED})
    assert printed(logger) == ["Finished"]
    assert (tmp_path / "log").read_text().splitlines() == [
        *COMMAND.format(75).splitlines(),
        "Error in rule noise:",
        "Finished",
    ]


@pytest.mark.parametrize("end", [COMMAND.format(1), COMMAND.format(175), "Missing output files"])
def test_a_job_that_failed_is_reported_even_after_one_that_stopped(logger: logging.Logger, end: str) -> None:
    report(logger, COMMAND.format(75))
    report(logger, end)
    assert printed(logger) == [*end.splitlines(), "Error in rule noise:"]


def test_reports_of_several_jobs_at_once_are_kept_apart(logger: logging.Logger) -> None:
    logger.error(COMMAND.format(75), extra={"event": LogEvent.ERROR})
    with ThreadPoolExecutor() as pool:
        pool.submit(report, logger, "killed").result()
    logger.error("Error in rule noise:", extra={"event": LogEvent.JOB_ERROR})
    assert printed(logger) == ["killed", "Error in rule noise:"]


def test_processes_of_the_pool_begin_without_ctrl_c_and_this_one_keeps_it() -> None:
    script = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"

    def begin() -> str:
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60).stdout

    with ThreadPoolExecutor(max_workers=3) as pool:
        start_without_interrupts(pool, 3)
        assert [future.result() for future in [pool.submit(begin) for _ in range(3)]] == ["True\n"] * 3
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
