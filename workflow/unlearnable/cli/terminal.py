"""What commands show while they work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from unlearnable.errors import printable
from unlearnable.owners.structure import Fault

SHOWN = 10  # files left out that are named on the terminal


def reading(what: str) -> Callable[[int, int], None]:
    """Shows how many files are read, on a terminal.

    Args:
        what: is read, in words.
    """

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty() and (done % 20 == 0 or done == total):
            click.echo(f"\rReading {what}: {done} of {total}", nl=done == total, err=True)

    return show


def name_some(faults: Sequence[Fault], where: str) -> None:
    """List files that are left out, or the first of many.

    Args:
        faults: what is left out.
        where: the file that lists all of them.
    """
    for fault in faults[:SHOWN]:
        click.echo(printable(f"{fault.file}: {fault.reason}"), err=True)
    if faults:
        more = f", {SHOWN} of which are named above" if len(faults) > SHOWN else ""
        click.echo(printable(f"Left out of the audit: {len(faults)}{more}; all are in {where}"), err=True)
