"""The latest run of a study, read from its record."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from unlearnable.jobs.presence import RECORD, anything_running, snakemake_running
from unlearnable.tools.watch.tail import last_lines

State = Literal["running", "done", "failed", "waiting"]


@dataclass
class Job:
    """A job that was started.

    Attributes:
        rule: the rule's name.
        what: one line about it.
        log: its log file, from the working directory; None if it has none.
        stale: date of the log file, in nanoseconds, before the job's attempt; None if there was none.
        state: waiting is what failed and will be tried again.
        began: when the latest attempt was started, in seconds since 1970; with a cluster, submitted.
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
        planned: how many jobs of each rule it has.
        jobs: those that were started, by Snakemake's number.
        ended: when Snakemake left by itself, in seconds since 1970.
        latest: when something happened last.
    """

    began: float
    planned: dict[str, int]
    jobs: dict[int, Job] = field(default_factory=dict)
    ended: float | None = None
    latest: float = 0.0

    def in_state(self, *states: State) -> list[Job]:
        """The started jobs that are in one of some states."""
        return [job for job in self.jobs.values() if job.state in states]

    def counts(self, *states: State) -> Counter[str]:
        """How many jobs of each rule are in one of some states."""
        return Counter(job.rule for job in self.in_state(*states))

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return sum(self.planned.values())

    def take(self, entry: dict[str, Any]) -> None:
        """Note what the record says next."""
        event, at = entry["event"], entry["at"]
        self.latest = at
        job = self.jobs.get(entry.get("id", -1))
        if event == "start":
            about = {name: entry[name] for name in ("rule", "what", "log", "stale")}
            self.jobs[entry["id"]] = Job(**about, began=at)
        elif event == "end":
            self.ended = at
        elif job is not None and event == "again":
            job.state, job.ended = "waiting", job.ended or at  # no error came if it failed only after its end
        elif job is not None and event in ("done", "error"):
            job.state, job.ended = ("done" if event == "done" else "failed"), at


class Reader:
    """Follows the record of a working directory.

    Args:
        directory: where Snakemake runs.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._head = b""  # the first line, with the time of its beginning, tells runs apart
        self._offset = 0
        self._run: Run | None = None

    def look(self) -> Run | None:
        """The latest run in its present state; None if there was none."""
        try:
            with open(self.directory / RECORD, "rb") as file:
                head = file.readline()
                if head != self._head:
                    self._head, self._offset, self._run = head, 0, None
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            self._head, self._run = b"", None
            return None
        whole = content[: content.rfind(b"\n") + 1]  # the last line may be on its way
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # half a line, of when the disk was full
            if entry["event"] == "run":
                self._run = Run(entry["at"], entry["jobs"])
            elif self._run is not None:
                self._run.take(entry)
        return self._run

    def state(self, run: Run) -> str:
        """What has become of a run, in a few words."""
        if snakemake_running(self.directory):
            return "running"
        failed = len(run.in_state("failed"))
        if run.ended is not None:
            if failed:
                return f"ended, {failed} failed"
            return "finished" if len(run.in_state("done")) == run.total else "stopped before its end"
        if anything_running(self.directory):
            return "its Snakemake was killed; jobs are still at work"
        return "killed; no job is running"
