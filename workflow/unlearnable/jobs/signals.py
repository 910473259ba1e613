"""Signals that ask a job to stop: noted, and acted on when the work can be left."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

ASK_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stoppable(Protocol):
    """Work that regularly checks whether to stop, such as a ``Loop``."""

    stop_requested: bool


@dataclass
class Waiting:
    """The simplest such work.

    Attributes:
        stop_requested: whether to stop.
    """

    stop_requested: bool = False


@contextmanager
def stopping_on_signals(work: Stoppable) -> Iterator[None]:
    """Let SIGTERM, Ctrl-C and a closed terminal set ``work.stop_requested`` instead of ending the process.

    A second Ctrl-C interrupts at once. Ignored signals, as under ``nohup``, stay ignored.
    """
    before = {number: signal.getsignal(number) for number in ASK_TO_STOP}

    def request(number: int, _: object) -> None:
        work.stop_requested = True
        if number == signal.SIGINT:  # not for SIGTERM, which Slurm sends twice
            signal.signal(signal.SIGINT, before[signal.SIGINT])

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, request)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
