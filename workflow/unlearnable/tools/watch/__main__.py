"""``make watch``: the progress of a study, in another terminal."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from unlearnable.errors import UserError, printable
from unlearnable.jobs.leases import holders
from unlearnable.tools.watch.run import Reader
from unlearnable.tools.watch.screen import overview

EVERY = 2.0  # seconds between two looks
HOME, TO_LINE_END, TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"


def main(arguments: list[str] | None = None) -> None:
    """Print the progress of the latest run; in a terminal repeatedly, until Ctrl-C.

    Args:
        arguments: of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m unlearnable.tools.watch", description="How far a study is.")
    parser.add_argument("--directory", type=Path, default=Path(), help="the working directory of Snakemake")
    parser.add_argument("--once", action="store_true", help="print once and exit, as always if the output is a file")
    options = parser.parse_args(arguments)
    if not options.directory.is_dir():
        where = printable(str(options.directory))
        sys.exit(f"{where}: there is no such folder; --directory names the working directory of Snakemake")
    reader = Reader(options.directory)
    try:
        if options.once or not sys.stdout.isatty():
            print("\n".join(overview(reader, holders, time.time())))
            return
        while True:
            _draw(overview(reader, holders, time.time()))
            time.sleep(EVERY)
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print()


def _draw(lines: list[str]) -> None:
    """Draw lines over the terminal's content, cut to its size."""
    columns, rows = shutil.get_terminal_size()
    if len(lines) >= rows:
        lines = [
            *lines[: rows - 2],
            f"... and {len(lines) - rows + 2} more lines; enlarge the window or use --once to see them",
        ]
    cut = [line[: columns - 1] + TO_LINE_END for line in lines]
    print(HOME + "\n".join(cut) + "\n" + TO_SCREEN_END, end="", flush=True)


if __name__ == "__main__":
    main()
