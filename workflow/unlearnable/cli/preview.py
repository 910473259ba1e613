"""``unlearnable preview``: what the strengths look like."""

from __future__ import annotations

from pathlib import Path

import click

from unlearnable.errors import UserError, printable
from unlearnable.owners.preview import preview
from unlearnable.owners.scan import scan


@click.command(name="preview")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), default=Path("preview.png"), help="default: preview.png")
def command(folder: Path, output: Path) -> None:
    """Show the strengths low, medium and high on a few images of FOLDER, in one picture.

    Nothing is trained: the patterns are examples of the same grain as the real ones, and of the largest size.
    """
    found = scan(folder)
    if not found.images:
        raise UserError(f"{folder}: no image can be protected; unlearnable protect says why")
    preview(found.root, found.images, output)
    click.echo(printable(f"{output}: the strengths side by side; open it at its full size"))
