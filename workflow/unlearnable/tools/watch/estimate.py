"""How long a run still takes, from how long its jobs took so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unlearnable.progress import seconds_left
from unlearnable.tools.watch.run import Job, Run


@dataclass(frozen=True)
class Estimate:
    """How long a run still takes.

    Attributes:
        seconds: for the jobs that there is something to go by for; None if there is nothing.
        unknown: how many jobs there is nothing to go by for.
    """

    seconds: float | None
    unknown: int


def estimate(run: Run, directory: Path, now: float) -> Estimate:
    """What is left to do, divided by how many jobs ran at a time so far.

    A job takes as long as those of its rule took on average; where none is done yet, as long as those that run have
    taken and say that they will take. Of a running job counts what its log says is left, or else what is left of that
    average.

    Args:
        run: in its present state.
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
    """How many jobs ran at a time, on average; at least one."""
    spent = sum((job.ended or now) - job.began for job in run.jobs.values())
    return max(1.0, spent / max(now - run.began, 1e-3))
