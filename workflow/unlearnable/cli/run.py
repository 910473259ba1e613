"""``unlearnable run``: run a study."""

from __future__ import annotations

from pathlib import Path

import click

from unlearnable.cli.pipeline import PASS_ON, run_workflow
from unlearnable.study.presets import preset_file


@click.command(name="run", context_settings=PASS_ON)
@click.option("--preset", help="budgets laid under the study: a file of config/presets, such as cpu")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[STUDY] [SNAKEMAKE OPTIONS]...")
@click.pass_context
def command(ctx: click.Context, preset: str | None, arguments: tuple[str, ...]) -> None:
    """Run a study, or continue it.

    STUDY is a configuration file, such as config/studies/fashion.yaml; without one, the default study runs. What
    follows is passed to Snakemake: unlearnable run mine.yaml figures --cores 4.
    """
    study = [Path(arguments[0])] if arguments and not arguments[0].startswith("-") else []
    under = [] if preset is None else [preset_file(preset)]
    ctx.exit(run_workflow(arguments[len(study) :], [*under, *study]))
