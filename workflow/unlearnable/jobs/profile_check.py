"""A workflow profile that does not exist is refused: Snakemake itself would ignore it, and run all jobs here."""

from __future__ import annotations

import argparse
import difflib
import os
from pathlib import Path

from unlearnable.errors import UserError

FILES = ("profile*.yaml", "config*.yaml")  # by which Snakemake tells a profile from any other folder


def require_workflow_profile(arguments: list[str], root: Path, moved: bool) -> None:
    """Make sure that the workflow profile on Snakemake's command line is one that Snakemake found.

    A wrong ``--profile`` or ``SNAKEMAKE_PROFILE`` needs no check, as Snakemake stops at those by itself.

    Args:
        arguments: Snakemake's, without the program's name; taken to be valid, abbreviated options included.
        root: the folder of the Snakefile.
        moved: whether Snakemake was given another working directory than the one it was started in.

    Raises:
        UserError: there is none of that name.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--workflow-profile")
    given = parser.parse_known_args(arguments)[0]
    name = given.workflow_profile
    if not name or name == "none":
        return
    # Snakemake looked for it where it was started. When it was given another folder it has left that one, and PWD may
    # or may not name it: so one in the project's own folder is accepted, too.
    started = [Path(os.environ.get("PWD", root)), root] if moved else [Path.cwd()]
    folders = [root / "profiles", *(folder / inner for folder in started for inner in ("", "profiles"))]
    if not any((folder / name).exists() for folder in folders):
        known = sorted({file.parent.name for pattern in FILES for file in root.glob(f"profiles/*/{pattern}")})
        near = difflib.get_close_matches(Path(name).name, known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"--workflow-profile {name}: there is no such profile; {meant}known: {', '.join(known)}")
