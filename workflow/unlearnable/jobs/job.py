"""What every script does around its call of the library: logging, errors in one line, exit codes."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from unlearnable.errors import Stopped, UserError, disk_fault, printable, printable_lines
from unlearnable.jobs.inputs import end_future_dates, made_with
from unlearnable.jobs.presence import join
from unlearnable.jobs.snakemake_process import orphaned

log = logging.getLogger("unlearnable")
AGAIN_LATER = 75  # EX_TEMPFAIL of sysexits.h: the same command continues from here


class PlainText(logging.Formatter):
    """Formats messages so that they can be written in UTF-8, and so that no terminal obeys what they quote."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, which may have several lines."""
        return printable_lines(super().format(record))


class RuleLog(logging.FileHandler):
    """A rule's log file. If it cannot be written, for example on a full disk, the job warns once and continues."""

    said = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            super().emit(record)
        except OSError:  # from opening the file; later failures are handled by the handler
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging gives it
        """Say once, on stderr, that the log has gaps."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.said:
            self.said = True
            name = printable(self.baseFilename)
            print(f"{name}: {error.strerror}: this log has gaps, and the job continues", file=sys.stderr)


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Log to the rule's log file and to stderr, and turn an error for the user into one line and exit code 1.

    The inputs are compared with what the job is meant to read; it gets what to store beside its results.

    The process ends with this: nothing after it runs.

    A job does not count as running before it enters this, while it imports modules. If its Snakemake is killed
    meanwhile, another one may already run the same job, so this one exits without touching anything.

    Args:
        snakemake: the object that Snakemake gives to a script.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if snakemake.log:
        handlers.append(RuleLog(snakemake.log[0], mode="w", encoding="utf-8", delay=True))
    for handler in handlers:
        handler.setFormatter(PlainText("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    with ExitStack() as running:
        try:
            running.enter_context(join())
            if orphaned():  # checked after joining: from now on, no other Snakemake can start if this one is killed
                print(f"STOPPED rule {snakemake.rule}: its Snakemake is gone; nothing was started", file=sys.stderr)
                _end(AGAIN_LATER)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # blocked by tools.stops
            end_future_dates(snakemake.input)
            yield made_with(snakemake)
            end_future_dates(snakemake.input)  # again, as the clock may have been set back
        except Stopped as error:
            log.warning("STOPPED rule %s: %s", snakemake.rule, error)
            _end(AGAIN_LATER)
        except KeyboardInterrupt:
            log.warning("STOPPED rule %s: interrupted; nothing since its last checkpoint was saved", snakemake.rule)
            _end(AGAIN_LATER)
        except Exception as error:  # not swallowed: it is logged, and the job fails
            line = _for_the_user(error)
            if line is None:
                log.exception("rule %s failed", snakemake.rule)
            else:
                log.error("ERROR in rule %s: %s", snakemake.rule, printable(line))
            _end(1)
        _end(0)


def _end(code: int) -> NoReturn:
    """Do what Python does at its end, but leave all objects to the system.

    To destroy all of torch's takes half a second. If Python ended without that, triton would print a line for each of
    its objects that is left.
    """
    gc.freeze()  # what runs below searches no more for garbage
    threading._shutdown()  # type: ignore[attr-defined]  # this and the next line are how multiprocessing ends a process
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _for_the_user(error: Exception) -> str | None:
    """One line that says all; None if the traceback is needed."""
    if isinstance(error, OSError):
        return disk_fault(error)
    return str(error) if isinstance(error, UserError) else None


def folder(path: str) -> Path:
    """The folder of a file: rules pass manifests, and stages find the data beside them."""
    return Path(path).parent
