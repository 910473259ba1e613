"""The end of a text file that may be long and still being written."""

from __future__ import annotations

import os
from pathlib import Path

from unlearnable import files
from unlearnable.errors import UserError, printable

AT_MOST = 8192  # bytes that are read


def last_lines(path: Path, count: int) -> list[str]:
    """The last non-empty lines, at most ``count``; none if there is no such file.

    They are ``printable``, so that a damaged file cannot garble a terminal.
    """
    try:
        with files.open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - AT_MOST))
            text = file.read(AT_MOST).decode("utf-8", errors="replace")
    except (OSError, UserError):
        return []
    lines = [printable(line.rstrip().expandtabs()) for line in text.splitlines()]
    return [line for line in lines if line][-count:]
