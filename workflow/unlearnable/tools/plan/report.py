"""The plan as text: jobs, passes, time, space, and the error of estimates for finished jobs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unlearnable.datasets.size import Size
from unlearnable.tools.plan.calibration import Speed
from unlearnable.tools.plan.tasks import Task
from unlearnable.tools.plan.text import bytes_text, count, duration, table
from unlearnable.tools.plan.times import Comparison, Times
from unlearnable.training.work import Kind

ON_GPU = ("source model", "noise", "victim")
STAGES = ("dataset", "source model", "noise", "perturbed dataset", "victim")


DAY = 86_400
LONG = (
    "WARNING: that is over a day. For CPUs, --preset cpu (make: PRESET=cpu) lays small budgets under the study; or "
    "lower steps under source_model and victim, and the inner loops under methods, or name fewer seeds."
)
NOT_COUNTED = (
    "NOT in the sums: downloaded archives, and the copy of its training images that a victim's job keeps while it runs "
    "where its counter-measure changes them once (a filter, a codec, a projection)."
)


@dataclass(frozen=True)
class Machine:
    """The machine that jobs run on.

    Attributes:
        device: for networks.
        gpus: number of jobs that run on a GPU each at a time; 0 if networks run on cores as well.
        cores: number of jobs that run on a core each at a time.
        start_up: seconds before a job begins its work.
    """

    device: str
    gpus: int
    cores: int
    start_up: float


def of_jobs(counts: list[tuple[str, int, int]]) -> str:
    """Jobs by rule.

    Args:
        counts: rules, number of jobs of each, and number of finished ones.
    """
    totals = ("in all", sum(every for _, every, _ in counts), sum(done for _, _, done in counts))
    rows = [[rule, count(every), count(done), count(every - done)] for rule, every, done in (*counts, totals)]
    return table(["jobs", "in all", "done", "to do"], rows)


def of_passes(tasks: Sequence[Task], sizes: Mapping[str, Size]) -> str:
    """Passes by stage, and the numbers of images they are based on."""
    rows = []
    groups = [(stage, members) for stage, members in _by_stage(tasks) if stage in ON_GPU]
    for name, members in (*groups, ("in all", tasks)):
        every, due = (sum(task.passes for task in some) for some in (members, _due(members)))
        rows.append([name, count(every), count(every - due), count(due)])
    return "\n".join([table(["passes", "in all", "done", "to do"], rows), "", *map(_images, sizes, sizes.values())])


def _images(dataset: str, found: Size) -> str:
    if found.train is None or found.test is None:
        return (
            f"{dataset}: number of images unknown: run `snakemake datasets` first ({found.source}). "
            "Noise, evaluation and disk space of this dataset are NOT in the sums."
        )
    return f"{dataset}: {count(found.train)} training and {count(found.test)} test images ({found.source})."


def of_times(tasks: Sequence[Task], jobs_due: int, times: Times, machine: Machine, refusals: Sequence[str] = ()) -> str:
    """The time of jobs to do: by stage, in total, and on the clock.

    Args:
        tasks: of all stages.
        jobs_due: number of jobs to do, including tables and figures.
        times: estimates of tasks.
        machine: where they run.
        refusals: why some jobs will be refused.
    """
    if not jobs_due:
        return "Time: nothing is to do."
    due = [task for task in _due(tasks) if task.amounts or task.like]
    rows = [
        _stage_row(stage, jobs, _unit(stage, machine), [times.of(task) for task in jobs], machine)
        for stage, jobs in _by_stage(due)
    ]
    others = jobs_due - len(due)
    if others:
        rows.append(["others", count(others), "core", "?", duration(others * machine.start_up)])
    totals = {"GPU": 0.0, "core": others * machine.start_up}
    for task in due:
        totals[_unit(task.stage, machine)] += machine.start_up + (times.of(task) or 0)
    clock = totals["core"] / machine.cores + (totals["GPU"] / machine.gpus if machine.gpus else 0)
    compiled = " Long jobs on a GPU compile their network and are faster." if machine.gpus else ""
    lines = [
        table(["time to do", "jobs", "on one", "computing", "starting"], rows),
        "",
        f"In all: {' and '.join(f'{duration(total)} of one {unit}' for unit, total in totals.items() if total)}.",
        f"On the clock: {duration(clock)}, if the work is shared evenly by {_sharing(machine)} at a time.",
        *([LONG] if clock > DAY else []),
        f"Device: {machine.device}. {_how_timed(times.speeds)}{compiled}",
    ]
    missing = Counter((task.like or (task.stage, ""))[0] for task in due if times.of(task) is None)
    missing.update(task.besides for task in due if task.besides)
    if missing:
        lines.append(
            "NOT estimated: " + ", ".join(f"{name} ({count(jobs)} jobs)" for name, jobs in missing.items()) + "."
        )
    lines += [f"WARNING: jobs will be refused: {refusal}." for refusal in refusals]
    return "\n".join(lines)


def _unit(stage: str, machine: Machine) -> str:
    """The unit, GPU or core, that a job of a stage uses one of."""
    return "GPU" if machine.gpus and stage in ON_GPU else "core"


def _stage_row(
    stage: str, jobs: Sequence[Task], unit: str, estimates: Sequence[float | None], machine: Machine
) -> list[str]:
    known = [seconds for seconds in estimates if seconds is not None]
    unknown = " + ?" if len(known) < len(estimates) else ""
    computing = duration(sum(known)) + unknown if known else "?"
    return [stage, count(len(jobs)), unit, computing, duration(len(jobs) * machine.start_up)]


def _sharing(machine: Machine) -> str:
    on_cores = f"{count(machine.cores)} job(s) on cores"
    return f"{count(machine.gpus)} job(s) on GPUs and {on_cores}" if machine.gpus else on_cores


def _how_timed(speeds: Mapping[Kind, Speed]) -> str:
    timed = {kind: speed for kind, speed in speeds.items() if speed.images}
    small = sum(speed.images < kind.batch for kind, speed in timed.items())
    reckoned = len(speeds) - len(timed)
    parts = [f"{len(timed)} kinds of work were timed for a moment, uncompiled"]
    parts += [f"{small} of them with a smaller batch than the jobs', and scaled"] if small else []
    parts += [f"{reckoned} more were reckoned from their operations, at the rate of the others"] if reckoned else []
    return "; ".join(parts) + "."


def of_space(tasks: Sequence[Task], free: int, assumed: Sequence[str]) -> str:
    """Bytes to write by stage, and whether they fit.

    Args:
        tasks: of all stages.
        free: free bytes.
        assumed: datasets whose PNGs are assumed to be as large as their pixels.
    """
    due = {stage: sum(task.bytes for task in _due(members)) for stage, members in _by_stage(tasks)}
    total = sum(due.values())
    rows = [[name, bytes_text(number)] for name, number in (*due.items(), ("in all", total), ("free", free))]
    lines = [table(["disk space", "to write"], rows), "", NOT_COUNTED]
    if assumed:
        lines += ["", f"PNGs are taken to be as large as their pixels, as none are there yet: {', '.join(assumed)}."]
    if total > free:
        lines += ["", f"WARNING: {bytes_text(total - free)} more than there is. Free some space, or shorten the study."]
    return "\n".join(lines)


def of_comparisons(comparisons: Sequence[Comparison]) -> str:
    """The error of estimates for finished jobs."""
    if not comparisons:
        return "How far off: there are no finished jobs of this device to compare with."
    rows = [
        [
            *(found.stage, count(len(found.seconds)), duration(statistics.median(found.seconds))),
            f"{statistics.median(found.ratios):.2f}",
            f"{min(found.ratios):.2f} to {max(found.ratios):.2f}",
        ]
        for found in comparisons
    ]
    return table(["finished jobs", "number", "median time", "measured / estimated", "range"], rows)


def _by_stage(tasks: Sequence[Task]) -> list[tuple[str, list[Task]]]:
    """The stages with jobs, and their jobs."""
    groups = [(stage, [task for task in tasks if task.stage == stage]) for stage in STAGES]
    return [(stage, members) for stage, members in groups if members]


def _due(tasks: Iterable[Task]) -> list[Task]:
    return [task for task in tasks if not task.done]
