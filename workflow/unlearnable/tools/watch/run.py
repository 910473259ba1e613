"""The latest run of a study, read from its record."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from unlearnable.errors import UserError
from unlearnable.jobs.presence import RECORD, anything_running, snakemake_running
from unlearnable.tools.watch.tail import last_lines

State = Literal["running", "done", "failed", "waiting"]


@dataclass
class Job:
    """A started job.

    Attributes:
        rule: name of its rule.
        what: its description, one line.
        log: its log file, relative to the working directory; None if it has none.
        stale: date of the log file before the job's attempt, in nanoseconds; None if there was none.
        state: a waiting job failed and will be tried again.
        began: when the latest attempt was started or, on a cluster, submitted, in seconds since 1970.
        ended: when the latest attempt ended; None while it runs.
    """

    rule: str
    what: str
    log: str | None
    stale: int | None
    began: float
    state: State = "running"
    ended: float | None = None

    def lines(self, directory: Path, count: int) -> list[str]:
        """The last lines that its latest attempt logged; none before the first."""
        if self.log is None:
            return []
        path = directory / self.log
        try:
            written = path.stat().st_mtime_ns
        except OSError:
            return []
        return [] if written == self.stale else last_lines(path, count)


@dataclass
class Run:
    """One run of Snakemake.

    Attributes:
        began: in seconds since 1970.
        planned: number of jobs of each rule.
        jobs: the started jobs, by Snakemake's number.
        ended: when Snakemake ended normally, in seconds since 1970.
        latest: time of the latest event.
    """

    began: float
    planned: dict[str, int]
    jobs: dict[int, Job] = field(default_factory=dict)
    ended: float | None = None
    latest: float = 0.0

    def in_state(self, *states: State) -> list[Job]:
        """The started jobs in one of the states."""
        return [job for job in self.jobs.values() if job.state in states]

    def counts(self, *states: State) -> Counter[str]:
        """Number of jobs of each rule in one of the states."""
        return Counter(job.rule for job in self.in_state(*states))

    @property
    def total(self) -> int:
        """Total number of jobs."""
        return sum(self.planned.values())

    def take(self, entry: dict[str, Any]) -> None:
        """Apply the next entry of the record."""
        event, at = entry["event"], entry["at"]
        self.latest = at
        job = self.jobs.get(entry.get("id", -1))
        if event == "start":
            about = {name: entry[name] for name in ("rule", "what", "log", "stale")}
            self.jobs[entry["id"]] = Job(**about, began=at)
        elif event == "end":
            self.ended = at
        elif job is not None and event == "again":
            job.state, job.ended = "waiting", job.ended or at  # there is no error event if it failed only after its end
        elif job is not None and event in ("done", "error"):
            job.state, job.ended = ("done" if event == "done" else "failed"), at


class Reader:
    """Follows the record of a working directory.

    Args:
        directory: where Snakemake runs.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._head = b""  # the first line, with the start time, distinguishes runs
        self._offset = 0
        self._run: Run | None = None

    def look(self) -> Run | None:
        """The latest run in its current state; None if there was none.

        Raises:
            UserError: there is something else in the place of its record.
        """
        path = self.directory / RECORD
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: not a plain file; remove it, and the next run writes it")
        try:
            with open(path, "rb") as file:
                head = file.readline()
                if head != self._head:
                    self._head, self._offset, self._run = head, 0, None
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            self._head, self._run = b"", None
            return None
        whole = content[: content.rfind(b"\n") + 1]  # the last line may be incomplete
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # half a line, written when the disk was full
            if entry["event"] == "run":
                self._run = Run(entry["at"], entry["jobs"])
            elif self._run is not None:
                self._run.take(entry)
        return self._run

    def state(self, run: Run) -> str:
        """The state of a run, in a few words."""
        if snakemake_running(self.directory):
            return "running"
        failed = len(run.in_state("failed"))
        if run.ended is not None:
            if failed:
                return f"ended, {failed} failed"
            return "finished" if len(run.in_state("done")) == run.total else "stopped before its end"
        if anything_running(self.directory):
            return "its Snakemake was killed; jobs are still running"
        return "killed; no job is running"
