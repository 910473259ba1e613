"""What every script does around its one library call: log, refuse bad input in one line, measure."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearnable.errors import Stopped, UserError
from unlearnable.running import join

log = logging.getLogger("unlearnable")


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Log to the rule's log file and to stderr, and turn a ``UserError`` into one line and exit code 1.

    Args:
        snakemake: the object that Snakemake gives to a script.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if snakemake.log:
        handlers.append(logging.FileHandler(snakemake.log[0], mode="w", encoding="utf-8"))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers, force=True
    )
    try:
        with join():
            yield
    except UserError as error:
        log.error("ERROR in rule %s: %s", snakemake.rule, error)
        sys.exit(1)
    except Stopped as error:
        log.warning("STOPPED rule %s: %s", snakemake.rule, error)
        sys.exit(75)
    except Exception:  # not swallowed: the traceback belongs in the rule's log too, and the job fails
        log.exception("rule %s failed", snakemake.rule)
        sys.exit(1)


def folder(path: str) -> Path:
    """The folder of a file: stages pass manifests to one another, and find the data beside them."""
    return Path(path).parent
