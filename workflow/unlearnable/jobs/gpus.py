"""The GPUs of this host, and which of them jobs may use."""

from __future__ import annotations

import functools
import logging
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from unlearnable.errors import UserError

log = logging.getLogger(__name__)
NAMES, VISIBLE = "UNLEARNABLE_GPUS", "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Device:
    """A device that can be leased.

    Attributes:
        name: as in CUDA_VISIBLE_DEVICES, the UUID of a GPU or MIG device.
        gpu: UUID of this GPU, or of the GPU that it is part of.
        index: that GPU's number in nvidia-smi.
    """

    name: str
    gpu: str
    index: int

    @property
    def whole(self) -> bool:
        """Whether this is a GPU, not a part of one."""
        return self.name == self.gpu


def devices() -> list[Device]:
    """The devices of this host, in nvidia-smi's order; none without nvidia-smi.

    Raises:
        UserError: nvidia-smi does not answer.
    """
    names = os.environ.get(NAMES)
    if names is not None:
        unique = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
        return [Device(name, name, index) for index, name in enumerate(unique)]
    program = shutil.which("nvidia-smi")
    return list(_listed(program)) if program else []


@functools.cache  # the call takes a second or more without a persistence daemon
def _listed(program: str) -> tuple[Device, ...]:
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"{program} -L does not answer: a GPU or its driver hangs; set {NAMES} to bypass it") from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        log.warning("%s -L fails, so no GPU can be used: %s", program, said[0] if said else f"exit {done.returncode}")
        return ()
    return tuple(parse_list(done.stdout))


def parse_list(text: str) -> list[Device]:
    """The devices in the output of ``nvidia-smi -L``; a GPU with MIG devices below it is left out."""
    found: list[Device] = []
    for line in text.splitlines():
        if gpu := re.match(r"GPU (\d+): .*\(UUID: ([^)\s]+)\)", line):
            found.append(Device(gpu[2], gpu[2], int(gpu[1])))
        elif found and (part := re.match(r"\s+MIG .*\(UUID: ([^)\s]+)\)", line)):
            parent = found[-1]
            if parent.whole:
                found.pop()
            found.append(Device(part[1], parent.gpu, parent.index))
    return found


def candidates() -> list[Device]:
    """The devices that jobs here may lease: all, or those in CUDA_VISIBLE_DEVICES, in its order.

    An entry is an index, a UUID, or a prefix of a UUID that matches a single device. A GPU in MIG mode stands for its
    MIG devices. As in CUDA, an empty list and entries after a ``-1`` name nothing. Unlike in CUDA, which silently drops
    an invalid entry and all after it, an invalid entry is an error, and a repeated one counts once. Indices follow
    nvidia-smi's order, as in Slurm, whatever CUDA_DEVICE_ORDER is: CUDA itself gets UUIDs.

    Raises:
        UserError: an entry matches none of the devices, or several.
    """
    known, visible = devices(), os.environ.get(VISIBLE)
    if visible is None or not known:
        return known
    found: dict[Device, None] = {}
    for entry in [part.strip() for part in visible.split(",")]:
        if entry in ("-1", "NoDevFiles") or (not entry and visible.strip() == ""):  # Slurm's word for none
            break
        named = _named(entry, known)
        if not named:
            raise UserError(
                f"CUDA_VISIBLE_DEVICES={visible}: '{entry}' does not match exactly one of the devices here: "
                + ", ".join(f"{device.index} ({device.name})" for device in known)
            )
        found |= dict.fromkeys(named)
    return list(found)


def _named(entry: str, known: list[Device]) -> list[Device]:
    exact = [device for device in known if entry in (device.name, device.gpu)]
    if exact:
        return exact
    if re.fullmatch(r"[0-9]+", entry):
        return [device for device in known if device.index == int(entry)]
    if re.fullmatch("GPU-.+", entry):
        named = [device for device in known if device.gpu.startswith(entry)]
        return named if len({device.gpu for device in named}) == 1 else []
    named = [device for device in known if re.match("MIG-.", entry) and device.name.startswith(entry)]
    return named if len(named) == 1 else []
