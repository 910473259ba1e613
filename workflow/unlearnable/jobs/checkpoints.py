"""Where a job keeps the state that it goes on from when it was interrupted."""

from __future__ import annotations

import os
from pathlib import Path

from unlearnable.errors import UserError

FOLDER = "UNLEARNABLE_CHECKPOINTS"
COPIES = ".snakemake"  # in the working directory: what Snakemake fetches from a storage and sends there


def side_file(output: str | Path, name: str) -> Path:
    """The path of a file of an unfinished output's state.

    It lies beside the output, unless the environment variable ``UNLEARNABLE_CHECKPOINTS`` names a folder: then in
    there, under the output's path. So the state outlives a machine whose disk goes with it. The path of a copy of what
    is in a storage tells of the storage, not of the machine, and so finds the state again from any working directory.

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
        raise UserError(f"{FOLDER}={folder}: no such folder; make it, or mount the volume that keeps the checkpoints")
    own = output if output.parts[0] == COPIES else output.absolute()
    return Path(folder, *own.parts[own.is_absolute() :]).with_name(name)
