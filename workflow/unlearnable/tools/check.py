"""Checks configuration files before Snakemake reads them, which names no line of a file that it cannot read."""

from __future__ import annotations

import sys

from unlearnable.errors import UserError
from unlearnable.study.yaml_files import require_unambiguous


def main(files: list[str]) -> None:
    """Check configuration files; print their faults on stderr, a line for each.

    Args:
        files: their paths.
    """
    try:
        require_unambiguous(files)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
