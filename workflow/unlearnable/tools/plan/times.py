"""How long jobs take, from what was timed here and from what finished jobs recorded."""

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
    """The kinds of work in some jobs, the most important first.

    Those of jobs to do come before the others; then those whose time nothing else tells; then those of most images.
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
        rates: seconds for an image of jobs that no network takes part in, by what they are ``like``.
    """

    speeds: dict[Kind, Speed]
    rates: dict[tuple[str, str], float]

    def of(self, task: Task) -> float | None:
        """Seconds of a job, its start not included; None where nothing tells."""
        if not task.amounts:
            rate = None if task.like is None else self.rates.get(task.like)
            return None if rate is None else task.rows * rate
        amounts = [amount for amount in task.amounts if amount.images]
        if any(amount.kind not in self.speeds for amount in amounts):
            return None
        return sum(amount.images * self.speeds[amount.kind].seconds for amount in amounts)


def finished_jobs(tasks: Iterable[Task], directory: Path) -> list[tuple[Task, dict[str, Any]]]:
    """The finished jobs that recorded how long they took, and what they recorded."""
    found = ((task, directory / task.metrics) for task in tasks if task.done and task.metrics)
    return [(task, files.read_json(path)) for task, path in found if path.is_file()]


def rates(finished: list[tuple[Task, dict[str, Any]]], device: str) -> dict[tuple[str, str], float]:
    """Seconds for an image of finished jobs without a network, by what they are ``like``.

    Args:
        finished: jobs and what they recorded.
        device: as records name it; what another one computed does not count.
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
    """How far off the estimates of a stage's finished jobs are.

    Attributes:
        stage: which one.
        seconds: that each job took.
        ratios: of these to the estimates.
    """

    stage: str
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)


def compare_times(finished: list[tuple[Task, dict[str, Any]]], times: Times, device: str) -> list[Comparison]:
    """Compare what finished jobs took with what was estimated from timed work.

    Args:
        finished: jobs and what they recorded.
        times: estimates.
        device: as records name it; what another one computed is not compared.
    """
    stages: dict[str, Comparison] = {}
    for task, metrics in finished:
        estimate = times.of(task) if task.amounts else None
        if estimate and metrics.get("device", device) == device:
            stage = stages.setdefault(task.stage, Comparison(task.stage))
            stage.seconds.append(metrics["seconds"])
            stage.ratios.append(metrics["seconds"] / estimate)
    return list(stages.values())
