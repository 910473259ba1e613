"""``unlearnable audit``: does a release protect its originals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from unlearnable.cli.pipeline import PASS_ON, run_workflow
from unlearnable.cli.terminal import name_some, reading
from unlearnable.errors import printable
from unlearnable.owners import findings, report
from unlearnable.owners.audit import SEEDS, Audit, about
from unlearnable.owners.audited_card import state_findings
from unlearnable.owners.pairs import audited
from unlearnable.owners.project import LEFT_OUT, Project, slug
from unlearnable.owners.released_files import read_released
from unlearnable.owners.scan import Scan, scan, scan_structure
from unlearnable.tools.plan.reading import ROOT


@click.command(name="audit", context_settings=PASS_ON | {"allow_interspersed_args": True})
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--originals",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="the images that the release was made from, as given to protect",
)
@click.option("--name", help="of the audit; default: that of the release")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=SEEDS,
    show_default=True,
    help="networks to train in each way; more give narrower intervals, one gives none",
)
@click.option("--directory", type=click.Path(path_type=Path), default=ROOT, help="the folder that holds results")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE OPTIONS]...")
def command(
    folder: Path, originals: Path, name: str | None, seeds: int, directory: Path, options: tuple[str, ...]
) -> None:
    """Measure what the release in FOLDER protects against.

    Networks are trained on the released files, as a stranger would train them, and on the originals, and both are
    tested on originals that neither has seen. FOLDER may be from another tool, too: class folders, a CSV beside images,
    or Parquet. The same command continues after an interruption. Options of Snakemake, such as --cores 4, are passed
    on. Nothing that it writes is for handing out.
    """
    audit = Audit(directory.absolute(), slug(name or folder.absolute().stem))
    whole = scan(originals, progress=reading("originals"))
    code = run(audit, folder, whole, seeds, options)
    click.get_current_context().exit(code)


def run(audit: Audit, folder: Path, originals: Scan, seeds: int, options: Sequence[str]) -> int:
    """Audit a release, print what was found and, if the release was made here, write it into its card.

    Args:
        audit: where it is kept.
        folder: the release.
        originals: the images that it was made from.
        seeds: number of networks trained in each way.
        options: Snakemake's.

    Returns:
        Snakemake's exit code.

    Raises:
        UserError: the release cannot be read, or is too small.
    """
    audit.open()
    release = scan_structure(read_released(folder, audit.unpacked), progress=reading("the release"))
    images = audited(originals, release)
    name_some(images.left_out, str(audit.private / LEFT_OUT))
    changes = audit.create(images, originals, release, seeds)
    click.echo(printable(f"Audit: {about(images)}; see {audit.study}"), err=True)
    code = run_workflow(["tables", *options], [audit.study], audit.private)
    if code == 0:
        rows = findings.read(audit.tables)
        project = Project(audit.root, audit.name)
        if project.record.is_file() and folder.resolve() == project.release.resolve():
            state_findings(project.release, project.record, rows)
        report.write(audit.report, audit.name, rows, images, changes, release.root, originals.root)
        said = [findings.verdict(rows), *(f"  {line}" for line in findings.lines(rows))]
        tables = " and ".join(str(table.with_suffix(".md")) for table in audit.tables)
        said += [f"The numbers: {tables}", f"With images, for you alone: {audit.report}"]
        click.echo("\n".join(map(printable, said)))
    return code
