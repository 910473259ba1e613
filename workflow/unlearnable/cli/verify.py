"""``unlearnable verify``: is a release complete and as it says."""

from __future__ import annotations

from pathlib import Path

import click

from unlearnable.errors import printable
from unlearnable.owners.verify import faults


@click.command(name="verify")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--originals", type=click.Path(path_type=Path, exists=True), help="measure the changes again with these")
@click.pass_context
def command(ctx: click.Context, folder: Path, originals: Path | None) -> None:
    """Check the release in FOLDER: checksums, counts and the bound that it states.

    It needs nothing but the folder; with --originals, the changes are measured again.
    """
    count = 0
    for line in faults(folder, originals):
        click.echo(printable(line), err=True)
        count += 1
    click.echo(printable(f"{folder}: {f'{count} faults' if count else 'intact'}"))
    ctx.exit(1 if count else 0)
