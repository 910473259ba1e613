"""What every script does around its one library call: log, refuse bad input in one line, measure."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearnable.errors import Stopped, UserError
from unlearnable.jobs.presence import join
from unlearnable.jobs.snakemake_process import orphaned

log = logging.getLogger("unlearnable")
AGAIN_LATER = 75  # EX_TEMPFAIL of sysexits.h: the same command continues from here


class RuleLog(logging.FileHandler):
    """A rule's log file. Where it cannot be written, on a full disk say, that is said once and the job continues."""

    said = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            super().emit(record)
        except OSError:  # from opening the file; what fails later is handled by the handler
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging gives it
        """Say once, on stderr, that the log has gaps."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.said:
            self.said = True
            print(f"{self.baseFilename}: {error.strerror}: this log has gaps, and the job continues", file=sys.stderr)


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Log to the rule's log file and to stderr, and turn a ``UserError`` into one line and exit code 1.

    Before a job enters this, it imports what it needs and does not count as running. If its Snakemake is killed
    meanwhile, another one may be computing the same already, so it leaves and touches nothing.

    Args:
        snakemake: the object that Snakemake gives to a script.
    """
    atexit.register(gc.freeze)  # taking apart all objects of torch at the end takes half a second
    with join():
        if orphaned():  # asked after joining: a Snakemake that is killed from now on is not followed by another one
            print(f"STOPPED rule {snakemake.rule}: its Snakemake is gone; nothing was begun", file=sys.stderr)
            sys.exit(AGAIN_LATER)
        handlers: list[logging.Handler] = [logging.StreamHandler()]
        if snakemake.log:
            handlers.append(RuleLog(snakemake.log[0], mode="w", encoding="utf-8", delay=True))
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers, force=True
        )
        try:
            yield
        except UserError as error:
            log.error("ERROR in rule %s: %s", snakemake.rule, error)
            sys.exit(1)
        except Stopped as error:
            log.warning("STOPPED rule %s: %s", snakemake.rule, error)
            sys.exit(AGAIN_LATER)
        except KeyboardInterrupt:
            log.warning("STOPPED rule %s: interrupted; nothing since its last checkpoint was saved", snakemake.rule)
            sys.exit(AGAIN_LATER)
        except Exception:  # not swallowed: the traceback belongs in the rule's log too, and the job fails
            log.exception("rule %s failed", snakemake.rule)
            sys.exit(1)


def folder(path: str) -> Path:
    """The folder of a file: stages pass manifests to one another, and find the data beside them."""
    return Path(path).parent
