"""``unlearnable protect``: from an owner's folder to a release."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import click

from unlearnable.cli import audit
from unlearnable.cli.pipeline import PASS_ON, run_workflow
from unlearnable.cli.terminal import reading
from unlearnable.errors import UserError, printable
from unlearnable.owners.audit import SEEDS, Audit
from unlearnable.owners.presets import chosen
from unlearnable.owners.project import (
    HELD_OUT,
    LEFT_OUT,
    STRENGTHS,
    Project,
    complete,
    protected_elsewhere,
    require_same,
    slug,
)
from unlearnable.owners.scan import Scan, scan
from unlearnable.tools.plan.reading import ROOT


@click.command(name="protect", context_settings=PASS_ON | {"allow_interspersed_args": True})
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="of the release; default: that of the folder")
@click.option("--strength", type=click.Choice(list(STRENGTHS)), help="how far a pixel may change: 4, 8 or 16 of 255")
@click.option("--format", type=click.Choice(["png", "same"]), help="of the released files; same keeps JPEG as JPEG")
@click.option("--metadata", type=click.Choice(["strip", "keep"]), help="of cameras; default: strip")
@click.option("--minutes", type=click.IntRange(min=1), help="that the release may take on this machine, about")
@click.option("--skip-odd", is_flag=True, help="go on without the files that cannot be protected")
@click.option("--no-audit", is_flag=True, help="make the release alone, without measuring what it protects against")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="default: random and secret")
@click.option("--licence", help="of the released images, for the data card")
@click.option("--directory", type=click.Path(path_type=Path), default=ROOT, help="the folder that holds results")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE OPTIONS]...")
def command(
    folder: Path,
    name: str | None,
    skip_odd: bool,
    no_audit: bool,
    directory: Path,
    options: tuple[str, ...],
    **given: Any,
) -> None:
    """Protect the images in FOLDER, and write them to results/release/NAME.

    FOLDER has a folder for each class, or a CSV or Parquet file with the columns file and label. Once the release is
    made, an audit measures what it protects against, as unlearnable audit does; the release is complete without it.
    The same command continues after an interruption. Options of Snakemake, such as --cores 4, are passed on.
    """
    project = Project(directory.absolute(), slug(name or folder.absolute().stem))
    found = scan(folder, protected_elsewhere(project.root, project.name), reading("images"))
    _report(found, skip_odd)
    stored = project.stored()
    if stored is None:
        choices = complete(given)
        training = chosen(found, choices)
        project.create(found, choices, training, datetime.date.today().isoformat())
    else:
        require_same(project, stored, found, given)
        training = stored["training"]
    click.echo(f"Settings: {training['steps']} steps at {training['image_size']} pixels; see {project.study}", err=True)
    code = run_workflow(["releases", *options], [project.study], project.private)
    made = code == 0 and project.record.is_file()  # not after a dry run
    if made and not no_audit:
        click.echo(printable(f"The release is complete: {project.release}; its audit follows"), err=True)
        code = _audit(project, found, options)
    if made:
        click.echo(_conclusion(project, found))
    click.get_current_context().exit(code)


def _audit(project: Project, found: Scan, options: tuple[str, ...]) -> int:
    """Audit the release.

    Returns:
        Snakemake's exit code; 0 if there is nothing to audit, as the release is made.
    """
    try:
        code = audit.run(Audit(project.root, project.name), project.release, found, SEEDS, options)
    except UserError as error:
        click.echo(f"The release was not audited: {error}", err=True)
        return 0
    if code:
        click.echo("The audit did not end; the same command continues it. The release is complete.", err=True)
    return code


def _report(found: Scan, skip_odd: bool) -> None:
    """List what cannot be protected.

    Raises:
        UserError: there is something, and it may not be skipped; or too little is left.
    """
    for fault in found.faults:
        click.echo(printable(f"{fault.file}: {fault.reason}"), err=True)
    if found.ignored:
        click.echo(printable(f"Not images, so left out: {', '.join(found.ignored)}"), err=True)
    if found.faults and not skip_odd:
        raise UserError(f"{len(found.faults)} files cannot be protected; correct them, or leave them out: --skip-odd")
    if len({image.entry.label for image in found.images if not image.entry.test}) < 2:
        raise UserError(f"{found.root}: fewer than two classes are left; at least two are needed")


def _conclusion(project: Project, found: Scan) -> str:
    """The last lines: where the release is, what to hand out, and what never."""
    left = [f"{len(found.faults)} files were left out: {project.private / LEFT_OUT}"] if found.faults else []
    lines = [
        f"The release: {project.release}",
        *left,
        f"Hand out that folder, and nothing else. Check it with: unlearnable verify {project.release}",
        f"Never hand out {project.private} (seed, noise, source model, {HELD_OUT}) or the originals.",
    ]
    return "\n".join(map(printable, lines))
