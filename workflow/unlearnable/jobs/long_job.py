"""The setting of a long computation in a script: device, threads, checkpoint, time limit."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from unlearnable import files
from unlearnable.compute.device import describe, set_up
from unlearnable.errors import Stopped, UserError
from unlearnable.files import digest
from unlearnable.jobs import gpus, snakemake_process
from unlearnable.jobs.checkpoints import side_file
from unlearnable.jobs.device import leased_device
from unlearnable.jobs.signals import stopping_on_signals
from unlearnable.training.loop import Loop

log = logging.getLogger(__name__)
SLURM_END = "SLURM_JOB_END_TIME"
MARGIN = 60.0  # seconds reserved before the job's time limit, to save and exit


@contextmanager
def compute(snakemake: Any, *hashed: str) -> Iterator[tuple[Loop, torch.device]]:
    """The loop and the device of a script that computes in one process; as ``compute_on_ranks``."""
    with compute_on_ranks(snakemake, *hashed, most=1) as (loop, device, _):
        yield loop, device


@contextmanager
def compute_on_ranks(snakemake: Any, *hashed: str, most: int | None = None) -> Iterator[tuple[Loop, torch.device, int]]:
    """The loop of a script, its device, and the number of ranks that share the work, each on such a device.

    The checkpoint is the ``side_file`` of the first output. Its fingerprint covers the rule's settings, code and
    wildcards, the contents of ``hashed``, torch's version and the kind of device, so a checkpoint of anything else is
    ignored.

    Args:
        snakemake: the object that Snakemake gives to a script.
        hashed: the input files that the computation depends on.
        most: largest number of GPUs the rule can use; None for any number.

    Raises:
        UserError: the rule was granted more; Slurm's end of the job cannot be read; or as for ``leased_device``.
    """
    end = _end_by_slurm()
    set_up(snakemake.threads)
    master = snakemake_process.snakemake()

    def still_wanted() -> None:
        if master is not None and master.gone():
            raise Stopped("its Snakemake is gone; nothing was started")

    wanted, granted = snakemake.resources.device, snakemake.resources.get("gpu", 0)
    if most is not None and granted > most:
        raise UserError(
            f"{snakemake.rule} was granted gpu={granted}, but can use only {most}; "
            f"grant it this number (--set-resources {snakemake.rule}:gpu={most})"
        )
    what = " ".join([snakemake.rule, *(f"{name}={value}" for name, value in dict(snakemake.wildcards).items())])
    with leased_device(wanted, granted, what, still_wanted) as (device, names):
        started = time.monotonic()  # or a job that had to wait for its GPU would have no time left
        shared = device.type == "cuda" or gpus.NAMES in os.environ
        ranks = max(1, len(names)) if shared else 1
        if ranks == 1:
            log.info("computing on %s", describe(device))
        else:
            log.info("computing on %d x %s", ranks, device.type)  # asking for its name would start CUDA here
        output = Path(snakemake.output[0])
        fingerprint = digest(
            *(snakemake.params.recipe["settings"], snakemake.params.recipe["code"], dict(snakemake.wildcards)),
            *([files.sha256(path) for path in hashed], device.type, torch.__version__),
        )
        loop = Loop(
            checkpoint=side_file(output, f"{output.stem}.checkpoint.pt"),
            fingerprint=fingerprint,
            every=snakemake.resources.checkpoint_seconds,
            deadline=_deadline(started, snakemake.resources.get("runtime"), end),
            unwanted=snakemake_process.why_unwanted(master),
            device=f"{describe(device)} {names[0][:12]}" if device.type == "cuda" and ranks == 1 else device.type,
        )
        with stopping_on_signals(loop):
            yield loop, device, ranks


def _deadline(started: float, minutes: float | None, end: float | None) -> float | None:
    """When to save and exit, as ``time.monotonic()``; Slurm's limit starts before the job's own start."""
    if not minutes:
        return None
    ends = [started + minutes * 60, *([] if end is None else [end])]
    return min(ends) - min(MARGIN, minutes * 6)


def _end_by_slurm() -> float | None:
    """When Slurm ends the job, as ``time.monotonic()``; None outside of Slurm.

    Raises:
        UserError: the environment variable is not a time.
    """
    text = os.environ.get(SLURM_END)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise UserError(f"{SLURM_END}={text}: not a time in seconds since 1970, as Slurm sets it; unset it")
    return time.monotonic() + int(text) - time.time()
