"""The inputs of a job: are they the results that it is meant to read, and may it keep what it makes of them?"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from unlearnable.errors import UserError
from unlearnable.recipe import READ, RECIPE, read

log = logging.getLogger(__name__)
TIMESTAMP = ".snakemake_timestamp"  # in folders: Snakemake keeps their date there


def made_with(snakemake: Any) -> dict[str, Any]:
    """What to store beside the results of a job: its recipe, and digests of the inputs that it reads.

    Args:
        snakemake: the object that Snakemake gives to a script.

    Raises:
        UserError: an input is damaged, belongs to another result, or was made with something else.
    """
    recipe, found = snakemake.params.recipe, {}
    for name, keys in recipe["inputs"].items():
        paths = _paths(snakemake.input[name])
        for path, key in zip(paths, keys * len(paths) if len(keys) == 1 else keys, strict=True):
            where, digest = read(path, key)
            found[where] = digest
    return {RECIPE: recipe, READ: found}


def end_future_dates(files: Iterable[str]) -> None:
    """Give inputs that are dated in the future the present date.

    When a job ends, Snakemake deletes its outputs if they are older than an input, even one whose date does not count.

    Raises:
        UserError: the date of an input cannot be changed.
    """
    now = time.time()
    for name in files:
        for path in (Path(name), Path(name, TIMESTAMP)):
            try:
                ahead = path.lstat().st_mtime - now
            except (FileNotFoundError, NotADirectoryError):
                continue
            if ahead > 0:
                log.warning("%s is dated %.0f s in the future; it now has the present date", path, ahead)
                try:
                    os.utime(path, follow_symlinks=False)
                except OSError as error:
                    raise UserError(
                        f"{path}: dated {ahead:.0f} s in the future, and its date cannot be changed "
                        f"({error.strerror}): Snakemake would delete what is made from it; touch it, or set the clock"
                    ) from error


def _paths(files: Any) -> list[Path]:
    return [Path(files)] if isinstance(files, str) else [Path(path) for path in files]
