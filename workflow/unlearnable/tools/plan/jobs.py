"""The jobs that a run would start, according to Snakemake."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from unlearnable.errors import UserError
from unlearnable.tools.plan.reading import ROOT

RULES = (
    "dataset",
    "source_model",
    "noise",
    "merge_noise",
    "perturbed_dataset",
    "release",
    "victim",
)  # then tables and figures
SHARE_A_FOLDER = ("noise", "table", "figure")  # rules whose jobs write into a shared folder


@dataclass(frozen=True)
class PlannedJob:
    """One job.

    Attributes:
        rule: its name.
        place: its output folder; for a shard of a noise, a table or a figure, the file without suffix.
    """

    rule: str
    place: str


def ask_snakemake(configfiles: Sequence[Path], directory: Path) -> dict[PlannedJob, bool]:
    """All jobs of a run, and whether each is done: changed settings or code make a job due again, dates do not.

    Args:
        configfiles: extend the default study; none for the default study.
        directory: where the results are.

    Raises:
        UserError: Snakemake refuses the study.
    """
    command = [sys.executable, "-m", "snakemake", "--summary", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(directory)]
    command += ["--configfile", *map(str, configfiles)] if configfiles else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"Snakemake cannot plan this study:\n{done.stderr.strip()}")
    return parse(done.stdout)


def parse(summary: str) -> dict[PlannedJob, bool]:
    """The jobs in the table of ``snakemake --summary``, and whether each has nothing to write again."""
    lines = summary.splitlines()
    where = {name: column for column, name in enumerate(lines[0].split("\t"))}
    jobs: dict[PlannedJob, bool] = {}
    for line in lines[1:]:
        row = line.split("\t")
        job = job_of(row[where["rule"]], row[where["output_file"]])
        jobs[job] = jobs.get(job, True) and row[where["plan"]] == "no update"
    return jobs


def job_of(rule: str, output: str) -> PlannedJob:
    """The job that writes a file."""
    path = PurePosixPath(output)
    return PlannedJob(rule, str(path.with_suffix("") if rule in SHARE_A_FOLDER else path.parent))


def count_by_rule(jobs: dict[PlannedJob, bool]) -> list[tuple[str, int, int]]:
    """For each rule, in the order of the stages: its name, number of jobs, number of finished jobs."""
    every, done = Counter(job.rule for job in jobs), Counter(job.rule for job, ready in jobs.items() if ready)
    names = [*filter(every.__contains__, RULES), *sorted(set(every) - set(RULES))]
    return [(name, every[name], done[name]) for name in names]
