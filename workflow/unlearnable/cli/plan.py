"""``unlearnable plan``: what a study would take."""

from __future__ import annotations

from pathlib import Path

import click

from unlearnable.study.presets import preset_file
from unlearnable.tools.plan.__main__ import main
from unlearnable.tools.plan.reading import ROOT


@click.command(name="plan")
@click.argument("study", required=False, type=click.Path(path_type=Path))
@click.option("--preset", help="budgets laid under the study: a file of config/presets, such as cpu")
@click.option("--jobs", type=click.IntRange(min=1), help="at a time; default: one per GPU, or per core without a GPU")
@click.option("--directory", type=click.Path(path_type=Path), default=ROOT, help="the folder that holds results")
def command(study: Path | None, preset: str | None, jobs: int | None, directory: Path) -> None:
    """Estimate jobs, hours and disk space of a study, before it runs."""
    configfiles = [*([] if preset is None else [preset_file(preset)]), *([] if study is None else [study])]
    of_study = ["--configfile", *map(str, configfiles)] if configfiles else []
    main([*of_study, *([] if jobs is None else ["--jobs", str(jobs)]), "--directory", str(directory)])
