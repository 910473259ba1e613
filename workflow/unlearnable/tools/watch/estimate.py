"""The remaining time of a run, from the time of its jobs so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unlearnable.progress import seconds_left
from unlearnable.tools.watch.run import Job, Run


@dataclass(frozen=True)
class Estimate:
    """The remaining time of a run.

    Attributes:
        seconds: for jobs that can be estimated; None if there are none.
        unknown: number of jobs that cannot be estimated.
    """

    seconds: float | None
    unknown: int


def estimate(run: Run, directory: Path, now: float) -> Estimate:
    """Estimate the remaining work, divided by the average number of jobs that ran at a time.

    A job is assumed to take the average time of its rule's finished jobs or, if there are none, of its running jobs:
    the time so far plus the remaining time in their logs. For a running job the remaining time in its log counts, or
    else the rest of that average.

    Args:
        run: in its current state.
        directory: where it runs.
        now: in seconds since 1970.
    """
    running = run.in_state("running")
    left = {id(job): _left(job, directory) for job in running}
    work, longest, unknown, known = 0.0, 0.0, 0, False
    for rule, count in run.planned.items():
        done = [job.ended - job.began for job in run.in_state("done") if job.rule == rule and job.ended is not None]
        at_work = [job for job in running if job.rule == rule]
        said = [(job, rest) for job in at_work if (rest := left[id(job)]) is not None]
        takes = done or [now - job.began + rest for job, rest in said]
        waiting = count - len(at_work) - run.counts("done", "failed")[rule]
        if not takes:
            unknown += waiting + len(at_work)
            continue
        average = sum(takes) / len(takes)
        rests = [left[id(job)] for job in at_work]
        mine = [
            max(0.0, average - (now - job.began)) if rest is None else rest
            for job, rest in zip(at_work, rests, strict=True)
        ]
        known = True
        work += sum(mine) + waiting * average
        longest = max([longest, *mine])
    if not known:
        return Estimate(None, unknown)
    return Estimate(max(longest, work / _at_a_time(run, now)), unknown)


def _left(job: Job, directory: Path) -> float | None:
    lines = job.lines(directory, 1)
    return seconds_left(lines[0]) if lines else None


def _at_a_time(run: Run, now: float) -> float:
    """Average number of jobs that ran at a time; at least one."""
    spent = sum((job.ended or now) - job.began for job in run.jobs.values())
    return max(1.0, spent / max(now - run.began, 1e-3))
