"""The exceptions that a user is meant to read, how they are shown, and advice that several of them share."""

from __future__ import annotations

import errno
from pathlib import Path

DISK_FAULTS = {  # why a file cannot be used and what to do, by the number of the system's error
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "the disk is full; free some space and run again, nothing was lost"),
    errno.EFBIG: "larger than a file may be on this disk or under this limit (ulimit -f); raise it and run again, "
    "nothing was lost",
    errno.EROFS: "the disk is mounted read-only; make it writable and run again, nothing was lost",
    errno.EIO: "the disk or its connection fails (input/output error); check it (dmesg) and run again",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "permission denied; change its owner or mode and run again"),
}


def printable(text: str) -> str:
    r"""``text`` in one line that a terminal shows and does not obey.

    Names of files and classes and the words of a server may contain control characters, line ends, and bytes that are
    not UTF-8 (which Python keeps as surrogates). Each becomes an escape, such as ``\x1b``, ``\n`` or ``\xff``.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def printable_lines(text: str) -> str:
    """As ``printable``, but the ends of lines stay."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


class UserError(Exception):
    """Bad input or a bad environment; the message says what is wrong, where, and how to fix it."""

    def __str__(self) -> str:
        """The message, safe to print: it may quote the names of files, which anybody may have chosen."""
        return printable_lines(super().__str__())


class Stopped(Exception):
    """A loop saved its checkpoint and left early: out of time, or asked to stop."""


def disk_fault(error: OSError, path: str | Path | None = None) -> str | None:
    """One line about a file that the system lets nobody use: its disk is full, read-only or broken, say.

    Args:
        error: the system's.
        path: of the file; None for the one that ``error`` names.

    Returns:
        The line; None for any other error, and if there is no name.
    """
    name = error.filename if path is None else path
    why = DISK_FAULTS.get(error.errno or 0)
    return None if why is None or name is None else f"{name}: {why}"


def regenerate(path: str | Path) -> str:
    """Advice when ``path``, or a file whose checksum it holds, is damaged: run only the job that wrote it again.

    Running the whole study would recompute everything that depends on the file, or nothing if all of that exists.
    """
    parts = Path(path).parts
    target = Path(*parts[len(parts) - 1 - parts[::-1].index("results") :]) if "results" in parts else Path(path)
    where = f"{target} in the storage" if parts[0] == ".snakemake" else str(path)  # the job sees only a copy
    return f"delete {where} and regenerate it: snakemake {target} --cores all (with this study's options)"
