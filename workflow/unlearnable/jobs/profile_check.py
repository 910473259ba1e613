"""Refuses a workflow profile that does not exist: Snakemake would ignore it and run all jobs here."""

from __future__ import annotations

import argparse
import difflib
import os
from pathlib import Path

from unlearnable.errors import UserError

FILES = ("profile*.yaml", "config*.yaml")  # by which Snakemake recognises the folder of a profile


def require_workflow_profile(arguments: list[str], root: Path, moved: bool) -> None:
    """Make sure that Snakemake found the workflow profile on its command line.

    A wrong ``--profile`` or ``SNAKEMAKE_PROFILE`` needs no check, because Snakemake refuses it.

    Args:
        arguments: Snakemake's, without the program's name; assumed to be valid, possibly abbreviated.
        root: the folder of the Snakefile.
        moved: whether Snakemake's working directory differs from the one it was started in.

    Raises:
        UserError: there is none of that name.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--workflow-profile")
    given = parser.parse_known_args(arguments)[0]
    name = given.workflow_profile
    if not name or name == "none":
        return
    # Snakemake looked for it where it was started. If it has since moved to another folder, PWD may or may not name
    # that place, so a profile in the project's own folder is accepted, too.
    started = [Path(os.environ.get("PWD", root)), root] if moved else [Path.cwd()]
    folders = [root / "profiles", *(folder / inner for folder in started for inner in ("", "profiles"))]
    if not any((folder / name).exists() for folder in folders):
        known = sorted({file.parent.name for pattern in FILES for file in root.glob(f"profiles/*/{pattern}")})
        near = difflib.get_close_matches(Path(name).name, known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"--workflow-profile {name}: there is no such profile; {meant}known: {', '.join(known)}")
