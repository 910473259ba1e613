"""``unlearnable watch``: the progress of a study, in another terminal."""

from __future__ import annotations

from pathlib import Path

import click

from unlearnable.tools.plan.reading import ROOT
from unlearnable.tools.watch.__main__ import main


@click.command(name="watch")
@click.option("--directory", type=click.Path(path_type=Path), default=ROOT, help="the folder that holds results")
@click.option("--once", is_flag=True, help="print once and exit")
def command(directory: Path, once: bool) -> None:
    """Show how far the study that runs in the project's folder is."""
    main(["--directory", str(directory), *(["--once"] if once else [])])
