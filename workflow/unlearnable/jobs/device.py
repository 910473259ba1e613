"""The device of a job and its leased GPUs."""

from __future__ import annotations

import os
import warnings
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
        UserError: as for ``choose_device`` and ``leases.leased``; or there is a GPU that cannot be leased, or not used.
    """
    count = 0
    if wanted != "cpu" and granted > 0 and (_built_for_gpus() or gpus.NAMES in os.environ):
        if gpus.candidates():
            count = granted
        elif not gpus.devices() and gpus.NAMES not in os.environ and torch.cuda.is_available():
            raise UserError(
                "torch finds a GPU here, but nvidia-smi lists none, so two jobs could use the same one; "
                f"name the GPUs in {gpus.NAMES} (0,1 for two), or compute on the CPU (runtime.device: cpu)"
            )
    with leases.leased(count, what, check) as names:
        if names and gpus.NAMES not in os.environ:
            _require_usable(f"the job leased GPU {', '.join(names)}")
        device = choose_device(wanted, granted)
        if device.type == "cuda":
            if (seen := torch._C._cuda_getDeviceCount()) != len(names):
                raise UserError(f"the job leased GPU {', '.join(names)}, but CUDA sees {seen} GPU(s) here")
            locks.hold_until_exit()  # CUDA keeps memory there until the process ends
        yield device, names


def device_of_jobs(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device that jobs on this machine would compute on, without a lease.

    Args:
        wanted: as for ``choose_device``.

    Raises:
        UserError: as for ``leased_device``.
    """
    if wanted != "cpu" and _built_for_gpus() and gpus.NAMES not in os.environ and (found := gpus.candidates()):
        _require_usable(f"nvidia-smi lists GPU {', '.join(device.name for device in found)}")
    return choose_device(wanted)


def _built_for_gpus() -> bool:
    return bool(torch.version.cuda or torch.version.hip)


def _require_usable(found: str) -> None:
    """Make sure that torch can use a GPU; if not, what it would warn of is part of the message.

    Args:
        found: which GPU was found, for the message.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if not usable:
        why = " ".join(str(said[0].message).partition("(Triggered")[0].split()) if said else "is the driver too old?"
        raise UserError(
            f"{found}, but torch cannot use it: {why} To compute on the CPU: "
            "make run GPUS=0, --resources gpu=0 or runtime.device: cpu"
        )
    for warning in said:
        warnings.warn(warning.message, stacklevel=2)
