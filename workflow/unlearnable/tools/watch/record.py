"""A record of Snakemake's events, in a file that can be read at any time.

Snakemake's own log is not enough: with ``--quiet`` it is empty, and for a rule with a message it names neither the rule
nor the log file. The record has the events of Snakemake's logger interface, one JSON object per line:

    {"event": "run", "at": 1.7e9, "jobs": {"noise": 4}}                   the first line; how many jobs of each rule
    {"event": "start", "at": 1.7e9, "id": 3, "rule": "noise", "what": "Noise: ...", "log": "logs/...", "stale": 12}
    {"event": "done" | "error" | "again", "at": 1.7e9, "id": 3}            again: it waits for another attempt
    {"event": "end", "at": 1.7e9}                                          unless Snakemake was killed

``stale`` is the date of the log file before the start, in nanoseconds, or null: as long as the file has that date, it
belongs to an earlier attempt. Snakemake holds a lock on the record as long as it runs.

The Snakefile attaches the recorder to Snakemake's logger. A logger plugin would have to be installed and named on every
command line; if that were forgotten, the run would have no record.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from snakemake_interface_logger_plugins.common import LogEvent

from unlearnable.errors import printable
from unlearnable.jobs import locks
from unlearnable.jobs.presence import RECORD
from unlearnable.tools.stops import about_stopped
from unlearnable.tools.watch.tail import last_lines

IN_STORAGE = " (send to storage)"  # suffix in Snakemake of the name of a log that is not a local file
SHOWN = 10  # lines of a failed job's log


def record(logger: logging.Logger, workflow: Any) -> None:
    """Record the run that begins, unless it is a dry run, and print the last log lines of every failed job.

    Args:
        logger: Snakemake's.
        workflow: Snakemake's, as in a Snakefile.
    """
    logger.addHandler(Recorder(logger, workflow, RECORD.absolute()))


class Recorder(logging.Handler):
    """Records the relevant events in Snakemake's log.

    Args:
        logger: Snakemake's.
        workflow: Snakemake's.
        path: of the record; an older one is replaced when a run begins.
    """

    def __init__(self, logger: logging.Logger, workflow: Any, path: Path) -> None:
        super().__init__(logging.INFO)
        self._logger, self._workflow, self._path = logger, workflow, path
        self._file: IO[str] | None = None
        self._broken = False
        self._attempts: Counter[int] = Counter()  # of each job
        self._open: set[int] = set()  # the jobs whose latest attempt has not ended

    def emit(self, record: logging.LogRecord) -> None:
        """Handle one message from Snakemake."""
        about = record.__dict__
        match getattr(record, "event", None):
            case LogEvent.RUN_INFO if self._file is None and not self._workflow.dryrun:
                # With --quiet progress the scheduler does not log JOB_FINISHED to any handler, and no other event marks
                # a job as done. The handlers' filters decide whether it is printed.
                self._workflow.scheduler.print_progress = True
                self._begin({rule: count for rule, count in about["stats"].items() if rule != "total"})
            case LogEvent.JOB_INFO:
                self._start(about["jobid"], about)
            case LogEvent.JOB_FINISHED:
                self._end("done", about["job_id"])
            case LogEvent.JOB_ERROR:
                self._end("error", about["jobid"])
                if self._attempts[about["jobid"]] <= self._workflow.get_rule(about["rule_name"]).restart_times:
                    self._end("again", about["jobid"])
                if not about_stopped(record):
                    self._show_log(about["log"][:1])

    def close(self) -> None:
        """Record that Snakemake ends normally."""
        if self._file is not None:
            for job in self._workflow.scheduler.failed:  # no event names a job that failed after its end, for a
                if job.jobid in self._open:  # missing output say
                    self._end("error", job.jobid)
            self._write("end")
            with suppress(OSError):  # the file could not be written before
                self._file.close()
            self._file = None
        super().close()

    def _begin(self, jobs: dict[str, int]) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._file = open(beside, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 - as long as Snakemake lives
            locks.lock(self._file, locks.EXCLUSIVE)
            self._write("run", jobs=jobs)
            os.replace(beside, self._path)
        except OSError as error:
            self._give_up(error)

    def _start(self, job: int, about: dict[str, Any]) -> None:
        if job in self._open:  # the previous attempt failed after its end, without an event
            self._end("again", job)
        self._open.add(job)
        self._attempts[job] += 1
        self._write("start", id=job, **_described(about))

    def _end(self, event: str, job: int) -> None:
        self._open.discard(job)
        self._write(event, id=job)

    def _write(self, event: str, **content: Any) -> None:
        if self._file is None or self._broken:
            return
        try:
            self._file.write(json.dumps({"event": event, "at": time.time(), **content}) + "\n")
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Continue the run without its record. The file stays open: its lock shows that Snakemake runs."""
        self._broken = True
        self._logger.warning(f"{self._path}: cannot be written ({error}); `make watch` does not see this run")

    def _show_log(self, logs: list[str]) -> None:
        for path in logs:
            lines = last_lines(Path(path), SHOWN)
            if lines:
                self._logger.error(
                    "\n".join([f"The last lines of {printable(path)}:", *(f"    {line}" for line in lines)])
                )


def _described(about: dict[str, Any]) -> dict[str, Any]:
    wildcards = " ".join(f"{name}={value}" for name, value in about["wildcards"].items())
    log = next((name for name in about["log"] if not name.endswith(IN_STORAGE)), None)
    try:
        stale = os.stat(log).st_mtime_ns if log else None
    except OSError:
        stale = None  # there is none yet
    what = about["rule_msg"] or f"{about['rule_name']} {wildcards}".strip()
    return {"rule": about["rule_name"], "what": what, "log": log, "stale": stale}
