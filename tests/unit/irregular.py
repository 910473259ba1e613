"""Paths that are no files: a named pipe, which gives up on its readers, a device and a socket."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KINDS = {"pipe": "a named pipe", "link to a pipe": "a named pipe", "device": "a device", "socket": "a socket"}
PATIENCE = 5.0  # seconds after which a reader that a pipe blocks is released, so that its test fails


@contextmanager
def irregular(path: Path, kind: str) -> Iterator[str]:
    """Replace ``path``, if it exists, by one of ``KINDS``; gives what messages call it."""
    path.unlink(missing_ok=True)
    if kind == "device":
        path.symlink_to("/dev/null")  # read to its end at once, unlike /dev/zero
        yield KINDS[kind]
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
        yield KINDS[kind]
    else:
        pipe = path if kind == "pipe" else path.with_name(f".{path.name}.pipe")
        os.mkfifo(pipe)
        if pipe != path:
            path.symlink_to(pipe)
        with open(pipe, "r+b", buffering=0) as held:  # with a writer, opening does not block, but reading does
            release = threading.Timer(PATIENCE, held.close)
            release.start()
            try:
                yield KINDS[kind]
            finally:
                release.cancel()
