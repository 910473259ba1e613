"""Where a job keeps the state from which it resumes after an interruption."""

from __future__ import annotations

import os
from pathlib import Path

from unlearnable.errors import UserError

FOLDER = "UNLEARNABLE_CHECKPOINTS"
COPIES = ".snakemake"  # in the working directory: local copies of files in a storage


def side_file(output: str | Path, name: str) -> Path:
    """The path of a file with the state of an unfinished output.

    It is beside the output or, if the environment variable ``UNLEARNABLE_CHECKPOINTS`` names a folder, in that folder
    under the output's path, so that the state survives the loss of a machine and its disk. For an output in a storage,
    the path of Snakemake's local copy is used unchanged: it names the storage and so is the same in every working
    directory.

    Args:
        output: of the job.
        name: of the file.

    Raises:
        UserError: there is no such folder.
    """
    output, folder = Path(output), os.environ.get(FOLDER)
    if not folder:
        return output.with_name(name)
    if not Path(folder).is_dir():
        raise UserError(f"{FOLDER}={folder}: no such folder; create it, or mount the volume for the checkpoints")
    own = output if output.parts[0] == COPIES else output.absolute()
    return Path(folder, *own.parts[own.is_absolute() :]).with_name(name)
