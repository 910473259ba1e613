"""A long job's log of its progress and remaining time, and the peak memory of its process."""

from __future__ import annotations

import logging
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

log = logging.getLogger(__name__)
Piece = TypeVar("Piece", bound=Sized)
INTERVAL = 10.0  # seconds between two lines, after the first few


class Meter:
    """Logs the progress of a piece of work at intervals.

    Speed is measured from the first part that this process finished: earlier runs may have been faster or slower, and
    work before the first part, such as compiling, happens once.

    Args:
        unit: name of the parts.
        total: number of parts.
        images: average number of images in a part; 0 if that has no meaning.
        device: the device that does the work.
    """

    def __init__(self, unit: str, total: int, images: float, device: str) -> None:
        self._unit, self._total, self._images, self._device = unit, total, images, device
        self._first = 0
        self._since: float | None = None
        self._said = 0.0

    def at(self, done: int, report: str | Callable[[], str]) -> None:
        """Log a line if one is due: after the first part, shortly after that, then every ten seconds, and at the end.

        Args:
            done: number of finished parts, including those of an earlier run.
            report: text to add, or a function that returns it, called only if a line is due.
        """
        now = time.monotonic()
        if self._since is None:
            self._first, self._since = done, now
        elif done < self._total and now - self._said < min(INTERVAL, max(1.0, self._said - self._since)):
            return
        speed = (done - self._first) / (now - self._since) if now > self._since else 0.0
        said = [f"{self._unit} {done}/{self._total}", report if isinstance(report, str) else report()]
        if speed:
            rate = speed * self._images
            said += [f"{rate:.{0 if rate >= 10 else 2}f} images/s" if rate else ""]
            said += [f"{span((self._total - done) / speed)} left"]
        log.info("%s", ", ".join(part for part in [*said, self._device] if part))
        self._said = now


def passing(pieces: Iterable[Piece], total: int, doing: str) -> Iterator[Piece]:
    """Pass pieces of images through, and log how many have passed.

    Args:
        pieces: the length of each is its number of images.
        total: number of images.
        doing: what is done to the images, for the log.
    """
    meter, done = Meter("image", total, 1, "cpu"), 0
    for piece in pieces:
        yield piece
        done += len(piece)
        meter.at(done, doing)


def span(seconds: float) -> str:
    """A time in its two largest units: ``35 s``, ``12 min 5 s``, ``3 h 5 min``, ``2 d 3 h``."""
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"


def seconds_left(line: str) -> float | None:
    """The remaining seconds in a line of ``Meter``; None if it states none."""
    found = re.search(r"((?:\d+ (?:d|h|min|s) )+)left", line)
    if found is None:
        return None
    sizes = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    return float(sum(int(number) * sizes[unit] for number, unit in re.findall(r"(\d+) (d|h|min|s)", found[1])))


def peak_memory_of_process() -> int:
    """Peak memory of the process, in bytes."""
    import resource  # POSIX only

    unit = 1 if platform.system() == "Darwin" else 1024  # macOS counts bytes, Linux kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
