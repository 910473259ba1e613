"""Kills at random moments over a study, and what must hold after each and in the end.

    make chaos

runs the study once undisturbed, then with fifty kills, and prints what was seen. Signals meet a job, Snakemake alone,
or the whole process group. The moments are drawn from a seed; where they find the study depends on the machine.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unlearnable.tools.verify import results_of

from .pipeline import Config, Project, checkout, dataset, laid_over, random_images, write_split

MARK = "UNLEARNABLE_CHAOS"  # in the environment of every process of a study
EVERY = 2  # seconds between two checkpoints
PATIENCE = 180.0  # seconds after which a process that should have ended is an orphan
KILLS = (  # whom a signal is sent to, and which
    ("job", signal.SIGKILL),
    ("snakemake", signal.SIGKILL),
    ("group", signal.SIGKILL),
    ("job", signal.SIGTERM),
    ("snakemake", signal.SIGTERM),
    ("group", signal.SIGTERM),
    ("snakemake", signal.SIGINT),
    ("group", signal.SIGINT),
)


def chaos_study(images: Path) -> Config:
    """Every stage, with loops of some seconds and checkpoints between."""
    return {
        "run": ["chaos"],
        "runtime": {"device": "cpu", "checkpoint_seconds": EVERY},
        "datasets": {"tiny": dataset(images)},
        "methods": {
            "em": {"by_dataset": {"tiny": {"k_u": 4}}},
            "sem": {"by_dataset": {"tiny": {"k_u": 4, "k_a": 1, "j": 1}}},
        },
        "source_model": {
            "by_dataset": {
                "tiny": {
                    "network": "small-cnn",
                    "batch_size": 16,
                    "history_every": 50,
                    "by_method": {"em": {"steps": 1500}, "sem": {"steps": 1000}},
                }
            }
        },
        "noise": {
            "by_dataset": {
                "tiny": {"batch_size": 2, "by_method": {"em": {"k_u": 400}, "sem": {"k_u": 300, "shards": 2}}}
            }
        },
        "perturbed": {"rows_per_parquet": 40, "rows_per_shard": 50},
        "victim": {
            "by_dataset": {
                "tiny": {
                    "steps": 1000,
                    "batch_size": 16,
                    "k_a": 2,
                    "evaluate_every": 100,
                    "robust_steps": 2,
                    "robust_images": 40,
                }
            }
        },
        "experiments": {
            "chaos": {
                "datasets": ["tiny"],
                "noises": [
                    {"method": "clean"},
                    {"method": "em", "rho_u": [16]},
                    {"method": "sem", "rho_u": [16], "rho_a": [4]},
                ],
                "victims": {"networks": ["small-cnn"], "radii": [0, 4]},
                "products": ["accuracy-table", "cost-table", "accuracy-figure", "training-curves", "noise-sheet"],
            }
        },
    }


@dataclass
class Report:
    """What was seen.

    Attributes:
        kills: how many signals of each kind met their target.
        runs: how often Snakemake was started.
        studies: how often the study was finished; each time it was compared with the undisturbed one.
        resumed: how many jobs went on from a checkpoint.
        lost: seconds between the last checkpoint of a killed job and its end.
    """

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    studies: int = 0
    resumed: int = 0
    lost: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        mean = sum(self.lost) / len(self.lost) if self.lost else math.nan
        return "\n".join(
            [
                f"{self.kills.total()} kills in {self.runs} runs of Snakemake, {self.studies} studies finished:",
                *(f"  {count:3} {kind}" for kind, count in sorted(self.kills.items())),
                f"{self.resumed} jobs went on from a checkpoint",
                f"{len(self.lost)} jobs were killed after a checkpoint (one every {EVERY} s); work lost since: "
                f"{mean:.1f} s in the mean, {max(self.lost, default=math.nan):.1f} s at most",
                "no process outlived its Snakemake, no file was half-written, every study ended in undisturbed bytes",
            ]
        )


def run_with_kills(
    undisturbed: Project, folder: Path, kills: int, seed: int, tell: Callable[[str], None] = lambda _: None
) -> Report:
    """Run a study until so many kills are spent; whenever it ends before, run it anew in another folder.

    Args:
        undisturbed: the same study, finished.
        folder: where to run it.
        kills: how many.
        seed: determines their kinds, order and moments.
        tell: gets a line after each run of Snakemake.

    Raises:
        AssertionError: a process outlived its Snakemake, a file is damaged, a study cannot be finished, or it ends in
            other bytes than the undisturbed one.
    """
    draws = random.Random(seed)
    left = [KILLS[i % len(KILLS)] for i in range(kills)]
    draws.shuffle(left)
    report = Report()
    while left or not report.studies:
        project = Project.new(undisturbed.repo, folder / str(report.studies), undisturbed.config)
        code: int | None = None
        while code != 0:
            before, mark, begun = len(left), f"{os.getpid()}-{report.runs}", time.time()
            code, text = run(project, left, draws, mark, report)
            report.runs += 1
            require_no_orphan(mark)
            results = project.work / "results"
            if results.is_dir() and results_of(results):  # a kill may come before the first
                assert verify(project) == 0
            assert len(left) < before or code == 0, text
            report.resumed += sum(resumed(log, begun) for log in (project.work / "logs").rglob("*.log"))
            tell(f"run {report.runs}: {before - len(left)} kills, {len(left)} left, {len(done(project))} cells done")
        report.studies += 1
        changed = differences(project, undisturbed)
        assert not changed, f"other bytes than without kills: {changed}"
    return report


def run(
    project: Project, left: list[tuple[str, signal.Signals]], draws: random.Random, mark: str, report: Report
) -> tuple[int, str]:
    """Run Snakemake, and kill what the last of ``left`` say, one after another, until Snakemake itself was killed.

    Args:
        project: the study.
        left: kinds of kills; those that met anything are removed.
        draws: for their moments.
        mark: of the run's processes.
        report: of what is seen.

    Returns:
        Snakemake's exit code, and what it printed.
    """
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            project.command("all"),
            env=os.environ | {MARK: mark},
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        begun, whom = time.time(), "job"
        while left and whom == "job" and strike(process, project, *left[-1], draws.uniform(2, 10), mark, begun, report):
            whom, _ = left.pop()
        code = process.wait(timeout=3600)
        printed.seek(0)
        return code, printed.read()


def strike(
    process: subprocess.Popen[bytes],
    project: Project,
    whom: str,
    number: signal.Signals,
    delay: float,
    mark: str,
    begun: float,
    report: Report,
) -> bool:
    """Send the signal after ``delay`` seconds, or when there is a job to send it to; False if the run ends before."""
    end = time.monotonic() + delay
    while time.monotonic() < end or (whom == "job" and not scripts(mark)):
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    at_work, now = scripts(mark), time.time()
    struck = at_work[:1] if whom == "job" else at_work
    saved = [when for pid in struck if (when := last_checkpoint(project, pid)) is not None and when > begun]
    try:
        if whom == "group":
            os.killpg(process.pid, number)
        else:
            os.kill(at_work[0] if whom == "job" else process.pid, number)
    except (ProcessLookupError, IndexError):
        return False
    report.kills[f"{number.name} to the {whom}"] += 1
    if number == signal.SIGKILL and whom != "snakemake":  # else the jobs save their state
        report.lost += [now - when for when in saved]
    return True


def processes(mark: str) -> Iterator[tuple[int, list[bytes]]]:
    """The living processes of a run, with their command lines."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            mine = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
            line = (folder / "cmdline").read_bytes()
        except OSError:  # ended meanwhile
            continue
        if mine and line:  # a zombie has no command line any more
            yield int(folder.name), line.split(b"\0")


def scripts(mark: str) -> list[int]:
    """The processes of a run that run a rule's script."""
    return sorted(pid for pid, line in processes(mark) if len(line) > 1 and b".snakemake/scripts/" in line[1])


def last_checkpoint(project: Project, pid: int) -> float | None:
    """When a job last saved its state; None if it never did, or has no state."""
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            log = descriptor.readlink()
        except OSError:
            continue
        if log.suffix == ".log" and log.is_relative_to(project.work / "logs"):
            cell = project.work / "results" / log.relative_to(project.work / "logs").with_suffix("")
            for checkpoint in (cell / "model.checkpoint.pt", cell.parent / "shards" / f"{cell.name}.checkpoint.pt"):
                if checkpoint.exists():
                    return checkpoint.stat().st_mtime
    return None


def require_no_orphan(mark: str) -> None:
    """Make sure that all processes of a run end by themselves.

    Raises:
        AssertionError: some do not.
    """
    end = time.monotonic() + PATIENCE
    while alive := list(processes(mark)):
        assert time.monotonic() < end, f"still at work without Snakemake: {alive}"
        time.sleep(0.05)


def verify(project: Project) -> int:
    """The exit code of the check of all results."""
    command = [sys.executable, "-m", "unlearnable.tools.verify", "--directory", str(project.work)]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(project.repo / "workflow")}).returncode


def done(project: Project) -> set[Path]:
    """The folders of finished cells."""
    return {path.parent for path in (project.work / "results").rglob("metrics.json")}


def resumed(log: Path, since: float) -> bool:
    """Whether a job went on from a checkpoint in the run that began at ``since``."""
    return log.stat().st_mtime > since and "resuming from" in log.read_text(encoding="utf-8")


def differences(project: Project, undisturbed: Project) -> list[str]:
    """The files that are not the same bytes, those aside that tell how long something took."""
    found, expected = project.bytes_below("results"), undisturbed.bytes_below("results")
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if found.get(name) != expected.get(name) and not tells_time(name)]


def tells_time(name: str) -> bool:
    """Whether a result tells how long something took."""
    path = Path(name)
    of_shard = path.parent.name == "shards" and path.suffix == ".json"
    return of_shard or path.name.startswith(("cost.", "metrics.json")) or path.suffix == ".jsonl"


def prepared(repo: Path, folder: Path, change: Config | None = None) -> Project:
    """The study, with some changes, run to its end without a kill."""
    write_split(folder / "images/train.parquet", random_images(64, seed=1))
    write_split(folder / "images/test.parquet", random_images(40, seed=2))
    project = Project.new(repo, folder / "undisturbed", laid_over(chaos_study(folder / "images"), change or {}))
    project.run("all")
    return project


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Kill a study at random moments; it must end as if nothing had been.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.monotonic()
        undisturbed = prepared(checkout(folder / "repo"), folder)
        print(f"undisturbed: {time.monotonic() - begun:.0f} s", flush=True)
        report = run_with_kills(
            undisturbed, folder / "disturbed", arguments.kills, arguments.seed, lambda line: print(line, flush=True)
        )
        print(report)


if __name__ == "__main__":
    main()
