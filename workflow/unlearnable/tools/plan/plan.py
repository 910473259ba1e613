"""The whole plan, section by section."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from snakemake.utils import available_cpu_count

from unlearnable.compute.device import describe, set_up
from unlearnable.datasets.size import Size
from unlearnable.errors import UserError
from unlearnable.jobs.device import device_of_jobs
from unlearnable.study.cells import DATASET
from unlearnable.study.study import Study
from unlearnable.tools.plan import calibration, report, space
from unlearnable.tools.plan.jobs import PlannedJob, count_by_rule
from unlearnable.tools.plan.reading import ROOT
from unlearnable.tools.plan.sizes import size_of
from unlearnable.tools.plan.tasks import Planner
from unlearnable.tools.plan.times import Comparison, Times, compare_times, finished_jobs, kinds_of, rates


def print_plan(study: Study, jobs: dict[PlannedJob, bool], at_a_time: int | None, directory: Path) -> None:
    """Print jobs, passes, time, disk space and the error of estimates, each as soon as it is known.

    Args:
        study: the study.
        jobs: all jobs of the run, and whether they are done.
        at_a_time: number of jobs that run together; None for one per GPU, or per core.
        directory: the working directory.

    Raises:
        UserError: the results of finished jobs are damaged.
    """
    _show(report.of_jobs(count_by_rule(jobs)))
    sizes = sizes_of(study, jobs, directory)
    encoded = {name: space.png_share(directory.glob(f"results/perturbed/{name}/*/*/*/p*")) for name in sizes}
    tasks = Planner(study, jobs, sizes, {name: share or 1.0 for name, share in encoded.items()}).tasks()
    _show(report.of_passes(tasks, sizes))

    comparisons: list[Comparison] = []
    try:
        device = device_of_jobs(study.settings.runtime.device)
    except UserError as error:  # the other sections are still valid
        _show(f"Time: NOT estimated. {error}")
    else:
        set_up(calibration.THREADS)
        kinds, finished, name = kinds_of(tasks), finished_jobs(tasks, directory), describe(device)
        print(f"Timing {len(kinds)} kinds of work, for {calibration.SECONDS_IN_ALL:.0f} s at most ...", file=sys.stderr)
        found = calibration.calibrate(kinds, device)
        times = Times(found.speeds, rates(finished, name))
        comparisons = compare_times(finished, times, name)
        machine = _machine(device, at_a_time)
        _show(report.of_times(tasks, sum(not done for done in jobs.values()), times, machine, found.refusals))
    assumed = [name for name, share in encoded.items() if share is None]
    _show(report.of_space(tasks, space.free(directory / "results"), assumed))
    _show(report.of_comparisons(comparisons))


def sizes_of(study: Study, jobs: dict[PlannedJob, bool], directory: Path) -> dict[str, Size]:
    """The sizes of the datasets used in the run."""
    found = {}
    for name in study.settings.datasets:
        folder = DATASET.format(dataset=name)
        stored = jobs.get(PlannedJob("dataset", folder))
        if stored is not None:
            manifest = directory / folder / "manifest.json"
            found[name] = size_of(study.layers.dataset(name), ROOT, manifest if stored and manifest.is_file() else None)
    return found


def _machine(device: torch.device, at_a_time: int | None) -> report.Machine:
    """This machine, which runs one job on each GPU, or on as many cores as a job has threads."""
    cores = max(1, available_cpu_count() // calibration.THREADS)
    start_up = calibration.start_up_seconds()
    if device.type == "cuda":
        return report.Machine(describe(device), at_a_time or torch.cuda.device_count(), cores, start_up)
    return report.Machine(describe(device), 0, at_a_time or cores, start_up)


def _show(section: str) -> None:
    print(section, end="\n\n", flush=True)
