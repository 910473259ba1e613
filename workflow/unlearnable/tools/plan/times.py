"""How long jobs take, from timings on this machine and from the records of finished jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unlearnable import files
from unlearnable.tools.plan.calibration import Speed
from unlearnable.tools.plan.tasks import Task
from unlearnable.training.work import Kind, NetworkWork


def kinds_of(tasks: Iterable[Task]) -> list[Kind]:
    """The kinds of work in jobs, the most important first.

    Kinds of jobs to do come first; then kinds whose time has no other source; then those with most images.
    """
    ranks: dict[Kind, tuple[bool, bool, int]] = {}
    for task in tasks:
        for amount in task.amounts:
            alone = not isinstance(amount.kind, NetworkWork)
            due, _, images = ranks.get(amount.kind, (False, alone, 0))
            ranks[amount.kind] = (due or not task.done, alone, images + amount.images)
    return sorted(
        (kind for kind, (_, _, images) in ranks.items() if images), key=lambda kind: ranks[kind], reverse=True
    )


@dataclass(frozen=True)
class Times:
    """Seconds of jobs.

    Attributes:
        speeds: of each kind of work, as timed on this machine.
        rates: seconds per image of jobs without a network, by ``like``.
    """

    speeds: dict[Kind, Speed]
    rates: dict[tuple[str, str], float]

    def of(self, task: Task) -> float | None:
        """Seconds of a job without its start; None if they cannot be estimated."""
        if not task.amounts:
            rate = None if task.like is None else self.rates.get(task.like)
            return None if rate is None else task.rows * rate
        amounts = [amount for amount in task.amounts if amount.images]
        if any(amount.kind not in self.speeds for amount in amounts):
            return None
        return sum(amount.images * self.speeds[amount.kind].seconds for amount in amounts)


def finished_jobs(tasks: Iterable[Task], directory: Path) -> list[tuple[Task, dict[str, Any]]]:
    """The finished jobs with records of their time, and these records."""
    found = ((task, directory / task.metrics) for task in tasks if task.done and task.metrics)
    return [(task, files.read_json(path)) for task, path in found if path.is_file()]


def rates(finished: list[tuple[Task, dict[str, Any]]], device: str) -> dict[tuple[str, str], float]:
    """Seconds per image of finished jobs without a network, by ``like``.

    Args:
        finished: jobs and their records.
        device: as named in records; records of other devices are ignored.
    """
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    rows: dict[tuple[str, str], int] = defaultdict(int)
    for task, metrics in finished:
        if task.like is not None and metrics.get("device", device) == device:
            seconds[task.like] += metrics["seconds"]
            rows[task.like] += task.rows
    return {like: total / rows[like] for like, total in seconds.items() if rows[like]}


@dataclass(frozen=True)
class Comparison:
    """The error of estimates for a stage's finished jobs.

    Attributes:
        stage: its name.
        seconds: of each job.
        ratios: of these seconds to the estimates.
    """

    stage: str
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)


def compare_times(finished: list[tuple[Task, dict[str, Any]]], times: Times, device: str) -> list[Comparison]:
    """Compare the seconds of finished jobs with estimates from timed work.

    Args:
        finished: jobs and their records.
        times: estimates.
        device: as named in records; records of other devices are ignored.
    """
    stages: dict[str, Comparison] = {}
    for task, metrics in finished:
        estimate = times.of(task) if task.amounts else None
        if estimate and metrics.get("device", device) == device:
            stage = stages.setdefault(task.stage, Comparison(task.stage))
            stage.seconds.append(metrics["seconds"])
            stage.ratios.append(metrics["seconds"] / estimate)
    return list(stages.values())
