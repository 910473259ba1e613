"""The device of a job and its leased GPUs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from unlearnable.compute.device import choose_device
from unlearnable.errors import UserError
from unlearnable.jobs import gpus, leases, locks


@contextmanager
def leased_device(
    wanted: Literal["auto", "cpu", "cuda"], granted: int, what: str, check: Callable[[], None]
) -> Iterator[tuple[torch.device, list[str]]]:
    """The device of a job, and the names of its leased GPUs, the only ones it can see; waits until they are free.

    On the CPU no GPU is leased or visible, except that stand-ins (``UNLEARNABLE_GPUS``) are leased but not used.

    Args:
        wanted: as for ``choose_device``.
        granted: number of GPUs granted to the job.
        what: description of the job, one line.
        check: called while the job waits; an exception from it ends the wait.

    Raises:
        UserError: as for ``choose_device`` and ``leases.leased``; or there is a GPU that cannot be leased.
    """
    count = 0
    usable = torch.version.cuda or torch.version.hip or gpus.NAMES in os.environ  # otherwise torch was built for CPUs
    if wanted != "cpu" and granted > 0 and usable:
        if gpus.candidates():
            count = granted
        elif not gpus.devices() and gpus.NAMES not in os.environ and torch.cuda.is_available():
            raise UserError(
                "torch finds a GPU here, but nvidia-smi lists none, so two jobs could use the same one; "
                f"name the GPUs in {gpus.NAMES} (0,1 for two), or compute on the CPU (runtime.device: cpu)"
            )
    with leases.leased(count, what, check) as names:
        device = choose_device(wanted, granted)
        if device.type == "cuda":
            if (seen := torch._C._cuda_getDeviceCount()) != len(names):
                raise UserError(f"the job leased GPU {', '.join(names)}, but CUDA sees {seen} GPU(s) here")
            locks.hold_until_exit()  # CUDA keeps memory there until the process ends
        elif names and gpus.NAMES not in os.environ:
            raise UserError(
                f"the job leased GPU {', '.join(names)}, but torch cannot use it: is the driver too old? "
                "--resources gpu=0 computes on the CPU"
            )
        yield device, names
