"""Signals that ask a loop to save its state and stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from unlearnable.training.loop import Loop

ASK_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def stopping_on_signals(loop: Loop) -> Iterator[None]:
    """Let SIGTERM, Ctrl-C and a closed terminal ask ``loop`` to save its state and stop.

    A second Ctrl-C interrupts at once. A signal that is ignored, as ``nohup`` has it, stays ignored.
    """
    before = {number: signal.getsignal(number) for number in ASK_TO_STOP}

    def request(number: int, _: object) -> None:
        loop.stop_requested = True
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
