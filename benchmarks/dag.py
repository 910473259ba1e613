"""The cost of planning: a dry run of a study that has not started, and a call on the finished study.

    python -m benchmarks.dag                                  this checkout
    python -m benchmarks.dag ../before . --repeats 3          two checkouts in turn, on the same load

Prints seconds of CPU (user and system; a busy machine changes them less than the wall clock) and of wall time, and how
many jobs each call listed: the quiet dry run lists none, as it only reads the rules and plans. Nothing is computed: in
the finished study every output is a placeholder of a few bytes, recorded by Snakemake's ``--touch``, without its pause
of 0.1 s per job; JSON files store the recipes that planning compares.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
RUN = "from snakemake.cli import main; main()"
STORE = """
import json, sys
from pathlib import Path

from unlearnable.study import products
from unlearnable.study.recipes import Recipes
from unlearnable.tools.plan.reading import read_study

study, stored = read_study(Path(sys.argv[1])), set()
recipes = Recipes(study)

def store(planned):
    if planned.file not in stored:
        stored.add(planned.file)
        Path(planned.file).write_text(json.dumps({"recipe": planned.recipe.plain()}))
        for each in planned.made_from.values():
            for source in each:
                store(source)

for kind in ("tables", "figures"):
    for name in study.settings.run:
        for stem, product in products.by_stem(kind).items():
            if product.product in study.settings.experiments[name].products:
                store(recipes.product(kind, name, stem))
for cell in study.perturbed(*study.settings.run):
    store(recipes.perturbed_dataset(cell))
"""
TOUCH = f"from snakemake.executors import touch; touch.Executor.SLEEPING_TIME = 0; {RUN}"


@dataclass(frozen=True)
class Call:
    """The time and output of one call of Snakemake."""

    cpu: float
    wall: float
    printed: str

    @property
    def jobs(self) -> int:
        """How many jobs the call planned."""
        total = re.search(r"^total +(\d+)$", self.printed, re.MULTILINE)
        return int(total.group(1)) if total else 0


@dataclass(frozen=True)
class Planner:
    """Snakemake on the Snakefile of a checkout, in a working directory.

    Attributes:
        checkout: the folder with the Snakefile.
        work: the working directory.
        study: the configuration file that extends the checkout's own; relative to the checkout.
    """

    checkout: Path
    work: Path
    study: str

    def call(self, *arguments: str, program: str = RUN) -> Call:
        """Call Snakemake for everything in the study.

        Args:
            arguments: further options.
            program: the Python program that calls it.

        Raises:
            CalledProcessError: the call failed; its output is on stderr.
        """
        options = ["-s", str(self.checkout / "Snakefile"), "-d", str(self.work), "--cores", "2"]
        options += ["--configfile", str(self.checkout / self.study)]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, "all", *options, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            print(done.stdout, file=sys.stderr)
            done.check_returncode()
        return Call(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, done.stdout)

    def finish(self) -> None:
        """Make the study look finished."""
        rows = [line.split("\t") for line in self.call("--summary").printed.splitlines()]
        names = next(index for index, row in enumerate(rows) if row[0] == "output_file")
        for row in rows[names + 1 :]:
            output = self.work / row[0]
            if output.suffix:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(row[0], encoding="utf-8")
            else:
                output.mkdir(parents=True, exist_ok=True)
        # Many cores: few rounds of scheduling.
        self.call("--touch", "--forceall", "--cores", "1000", "--quiet", "all", program=TOUCH)
        library = self.checkout / "workflow"
        if (library / "unlearnable/study/recipes.py").is_file():  # not in earlier revisions
            subprocess.run(
                [sys.executable, "-P", "-c", STORE, str(self.checkout / self.study)],
                cwd=self.work,
                env=os.environ | {"PYTHONPATH": str(library)},
                check=True,
            )

    def call_again(self) -> Call:
        """Call for the finished study.

        Raises:
            RuntimeError: there is something to do.
        """
        call = self.call()
        if "Nothing to be done" not in call.printed:
            raise RuntimeError(f"the study is not finished:\n{call.printed[-2000:]}")
        return call


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the checkouts in turn, and print a row for each call."""
    parser = argparse.ArgumentParser(description="What planning costs, in seconds.")
    parser.add_argument("checkouts", nargs="*", type=Path, default=[ROOT], help="folders with a Snakefile")
    parser.add_argument("--study", default="config/studies/benchmark.yaml", help="relative to each checkout")
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        planners = [Planner(c.resolve(), Path(folder) / str(i), options.study) for i, c in enumerate(options.checkouts)]
        print(f"{'call':22} {'jobs':>6} {'CPU/s':>7} {'wall/s':>7}  checkout")
        for planner in planners:
            planner.work.mkdir()
        for _ in range(options.repeats):
            for planner in planners:
                _show("dry run", planner.call("-n"), planner)
                _show("dry run, --quiet", planner.call("-n", "--quiet"), planner)
        for planner in planners:
            planner.finish()
        for _ in range(options.repeats):
            for planner in planners:
                _show("nothing to do", planner.call_again(), planner)


def _show(what: str, call: Call, planner: Planner) -> None:
    print(f"{what:22} {call.jobs:6} {call.cpu:7.1f} {call.wall:7.1f}  {planner.checkout}", flush=True)


if __name__ == "__main__":
    main()
