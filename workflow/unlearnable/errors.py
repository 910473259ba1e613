"""The exceptions that a user is meant to read, and advice that several of them share."""

from __future__ import annotations

import errno
from pathlib import Path

NO_ROOM = {  # why a file cannot be written, by the number of the system's error
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "the disk is full; free some space"),
    errno.EFBIG: "larger than a file may be on this disk or under this limit (ulimit -f); raise it",
}


class UserError(Exception):
    """Bad input or a bad environment; the message says what is wrong, where, and how to fix it."""


class Stopped(Exception):
    """A loop saved its checkpoint and left early: out of time, or asked to stop."""


def regenerate(path: str | Path) -> str:
    """Advice when ``path``, or a file whose checksum it holds, is damaged: run only the job that wrote it again.

    Running the whole study would recompute everything that depends on the file, or nothing if all of that exists.
    """
    parts = Path(path).parts
    target = Path(*parts[len(parts) - 1 - parts[::-1].index("results") :]) if "results" in parts else Path(path)
    where = f"{target} in the storage" if parts[0] == ".snakemake" else str(path)  # the job sees only a copy
    return f"delete {where} and regenerate it: snakemake {target} --cores all (with this study's options)"
