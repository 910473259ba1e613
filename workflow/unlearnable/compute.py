"""What a script with a long computation needs from Snakemake: a device, threads, a checkpoint, a time limit."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from unlearnable import files
from unlearnable.device import choose_device, describe, set_up
from unlearnable.fingerprint import digest
from unlearnable.resume import Loop, stopping_on_sigterm

log = logging.getLogger(__name__)

MARGIN = 60.0  # seconds kept free before the job's time limit, to save and leave


@contextmanager
def compute(snakemake: Any, *hashed: str) -> Iterator[tuple[Loop, torch.device]]:
    """The loop and the device of a script.

    The checkpoint lies beside the first output. Its fingerprint covers the rule's settings, code and wildcards, the
    contents of ``hashed``, torch's version and the kind of device, so a checkpoint of anything else is ignored.

    Args:
        snakemake: the object that Snakemake gives to a script.
        hashed: the input files that the computation depends on.
    """
    started = time.monotonic()
    set_up(snakemake.threads)
    device = choose_device(snakemake.resources.device, snakemake.resources.get("gpu", 0))
    log.info("computing on %s", describe(device))
    output = Path(snakemake.output[0])
    fingerprint = digest(
        *(snakemake.params.cfg, snakemake.params.code, dict(snakemake.wildcards)),
        *([files.sha256(path) for path in hashed], device.type, torch.__version__),
    )
    minutes = snakemake.resources.get("runtime")
    loop = Loop(
        checkpoint=output.with_name(f"{output.stem}.checkpoint.pt"),
        fingerprint=fingerprint,
        every=snakemake.resources.checkpoint_seconds,
        deadline=started + minutes * 60 - min(MARGIN, minutes * 6) if minutes else None,
    )
    with stopping_on_sigterm(loop):
        yield loop, device
