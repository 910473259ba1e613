"""The overview of a run as plain text."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from unlearnable.errors import UserError, printable
from unlearnable.jobs.leases import Lease
from unlearnable.progress import span
from unlearnable.tools.watch.estimate import estimate
from unlearnable.tools.watch.run import Job, Reader, Run

FAILED_LINES = 5  # of a failed job's log
SHOWN = 10  # running jobs, and failed jobs; a longer list would push the rest off the screen
DEVICES = 16


def overview(reader: Reader, leases: Callable[[], list[Lease]], now: float) -> list[str]:
    """The whole overview, line by line, each ``printable``.

    Args:
        reader: of the run's record.
        leases: returns the leases of this machine's devices.
        now: in seconds since 1970.

    Raises:
        UserError: the record of the run, or the file that tells what runs, cannot be read.
    """
    return [printable(line) for line in _lines(reader, leases, now)]


def _lines(reader: Reader, leases: Callable[[], list[Lease]], now: float) -> list[str]:
    run = reader.look()
    if run is None:
        return [f"No run has begun in {reader.directory.absolute()} yet."]
    state = reader.state(run)
    at_work = state == "running"
    until = now if at_work else run.latest
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.began))
    lines = [f"Run of {began} in {reader.directory.absolute()}: {state}, {span(max(0.0, until - run.began))}"]
    lines += ["", _summary(run, reader.directory, now if at_work else None), "", *_table(run, at_work)]
    running = run.in_state("running")
    if running:
        lines += ["", "Running" if at_work else "Not finished"]
        lines += _jobs(running, reader.directory, 1, now if at_work else None)
    lines += _devices(leases) if at_work else []
    failed = run.in_state("failed")
    if failed:
        lines += ["", "Failed", *_jobs(failed, reader.directory, FAILED_LINES, None)]
    return lines


def _summary(run: Run, directory: Path, now: float | None) -> str:
    """How much is done, and the remaining time.

    Args:
        run: in its current state.
        directory: where it runs.
        now: in seconds since 1970; None if the run is over.
    """
    done = len(run.in_state("done"))
    text = f"{done} of {run.total} jobs done ({100 * done // max(1, run.total)} %)"
    if now is None or done == run.total:
        return text
    rest = estimate(run, directory, now)
    if rest.seconds is None:
        return f"{text}, time left unknown"
    text += f", about {span(rest.seconds)} left"
    return f"{text}, not counting {rest.unknown} of rules without finished jobs" if rest.unknown else text


def _table(run: Run, at_work: bool) -> list[str]:
    done, running, failed = run.counts("done"), run.counts("running"), run.counts("failed")
    rows = [
        [rule, *(str(number or "") for number in (done[rule], running[rule], failed[rule])), str(count)]
        for rule, count in run.planned.items()
    ]
    rows.append(["total", *(str(part.total() or "") for part in (done, running, failed)), str(run.total)])
    header = ["", "done", "running" if at_work else "not finished", "failed", "jobs"]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in [header, *rows]
    ]


def _jobs(jobs: list[Job], directory: Path, count: int, now: float | None) -> list[str]:
    """Jobs and the ends of their logs."""
    lines = []
    for job in jobs[:SHOWN]:
        lines.append(f"  {job.what}" + ("" if now is None else f", {span(max(0.0, now - job.began))}"))
        said = job.lines(directory, count)
        nothing = "its log is not on this machine" if job.log is None else "nothing logged yet"
        lines += [f"    {line}" for line in said or [nothing]]
        lines += [f"    all of it: {job.log}"] if count > 1 and said else []
    return lines + ([f"  and {len(jobs) - SHOWN} more"] if len(jobs) > SHOWN else [])


def _devices(leases: Callable[[], list[Lease]]) -> list[str]:
    try:
        found = leases()
    except UserError as error:  # a driver hangs; show the rest anyway
        return ["", f"GPUs of this machine: {error}"]
    held = [lease for lease in found if lease.held]
    shown = [*held, *(lease for lease in found if not lease.held)][:DEVICES]
    return (
        ["", f"GPUs of this machine: {len(held)} of {len(found)} held", *(f"  {lease.line}" for lease in shown)]
        if found
        else []
    )
