"""``make plan``: the cost of a study, before it runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from unlearnable.errors import UserError
from unlearnable.tools.plan.jobs import ask_snakemake
from unlearnable.tools.plan.reading import read_study


def main(arguments: list[str] | None = None) -> None:
    """Print jobs, passes, time and disk space of a study; print a fault in it as one line on stderr.

    Args:
        arguments: of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m unlearnable.tools.plan", description="What a study would cost.")
    parser.add_argument(
        "--configfile", type=Path, nargs="+", default=[], help="extend the default study, as in snakemake"
    )
    parser.add_argument("--jobs", type=int, help="at a time; default: one per GPU, or per core without a GPU")
    parser.add_argument("--directory", type=Path, default=Path(), help="the working directory, which holds the results")
    options = parser.parse_args(arguments)
    if options.jobs is not None and options.jobs < 1:
        parser.error("--jobs must be at least 1")
    try:
        study = read_study(*options.configfile)
        print("Asking Snakemake what is done ...", file=sys.stderr)
        jobs = ask_snakemake(options.configfile, options.directory)
        from unlearnable.tools.plan.plan import print_plan  # imports torch; a faulty study need not wait for that

        print_plan(study, jobs, options.jobs, options.directory)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
