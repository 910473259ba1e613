"""Starts Snakemake on this project's workflow."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from unlearnable.errors import UserError
from unlearnable.study.yaml_files import require_unambiguous
from unlearnable.tools.plan.reading import ROOT

PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}  # context of commands with its options
WHERE = ("-d", "--directory")
HOW_MANY = ("-c", "--cores", "-j", "--jobs", "--profile", "--workflow-profile", "-e", "--executor")


def run_workflow(options: Sequence[str], configfiles: Sequence[Path] = (), directory: Path = ROOT) -> int:
    """Run Snakemake to its end, on all cores unless its options say otherwise.

    Args:
        options: Snakemake's, targets first.
        configfiles: of the study, checked before Snakemake reads them, which names no line of a file that it cannot
            read; none for the default study.
        directory: the working directory, unless the options name one.

    Returns:
        Its exit code.

    Raises:
        UserError: the file cannot be read as it is written, or this is no checkout of the project.
    """
    command = [sys.executable, "-Pm", "snakemake", *arguments(options, configfiles, directory)]
    with subprocess.Popen(command) as process:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:  # which Snakemake got, too; it ends its jobs first
                    continue
        finally:
            signal.signal(signal.SIGTERM, before)


def arguments(options: Sequence[str], configfiles: Sequence[Path], directory: Path) -> list[str]:
    """Snakemake's arguments; arguments and errors as for ``run_workflow``."""
    snakefile = ROOT / "Snakefile"
    if not snakefile.is_file():
        raise UserError(f"{snakefile}: no such file; install the package from a checkout with pip install -e .")
    added = ["--snakefile", str(snakefile)]
    if configfiles:
        require_unambiguous(configfiles)
        added += ["--configfile", *map(str, configfiles)]
    if not _given(options, WHERE):
        added += ["--directory", str(directory)]
    if not _given(options, HOW_MANY):
        added += ["--cores", "all"]
    return [*options, *added]


def _given(options: Sequence[str], names: Sequence[str]) -> bool:
    """Whether one of some options is among the given ones, as ``-c4`` or ``--cores=4``, too."""
    return any(
        each.partition("=")[0] == name or (len(name) == 2 and each.startswith(name) and not each.startswith("--"))
        for each in options
        for name in names
    )
