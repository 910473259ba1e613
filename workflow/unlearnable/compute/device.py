"""Where and in which precision to compute."""

from __future__ import annotations

import ctypes
import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import torch

from unlearnable.errors import UserError
from unlearnable.progress import peak_memory_of_process

log = logging.getLogger(__name__)
CPUINFO = Path("/proc/cpuinfo")  # of Linux


def choose_device(wanted: Literal["auto", "cpu", "cuda"], gpus: int = 1) -> torch.device:
    """The device to compute on.

    Args:
        wanted: ``auto`` means a GPU if there is one, otherwise the CPU with a warning.
        gpus: number of GPUs granted to the job; with 0 the CPU is used.

    Raises:
        UserError: ``cuda`` is requested and there is no usable GPU.
    """
    if wanted == "cpu" or (gpus == 0 and wanted == "auto"):
        return torch.device("cpu")
    if gpus == 0:
        raise UserError("runtime.device: cuda is requested, but the job was granted no GPU (--resources gpu=0)")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda":
        raise UserError("runtime.device: cuda is requested, but torch finds no usable GPU here; use auto or cpu")
    log.warning("no usable GPU here: computing on the CPU (runtime.device: auto)")
    return torch.device("cpu")


def choose_precision(wanted: Literal["auto", "float32", "bfloat16"], device: torch.device) -> torch.dtype:
    """The precision of convolutions: ``auto`` means bfloat16 if the hardware is faster in it, otherwise float32.

    What the hardware is decides, not a measured time, so that all jobs of a host compute in the same way.
    """
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = CPUINFO.exists() and gains_from_bfloat16(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    return torch.bfloat16 if fast else torch.float32


def gains_from_bfloat16(cpus: str) -> bool:
    """Whether CPUs multiply faster in bfloat16 than in float32: with AMX, and with AMD's AVX-512.

    Intel's CPUs with AVX-512's instructions for bfloat16 but without AMX need more time than in float32.

    Args:
        cpus: the text of ``/proc/cpuinfo``; the first processor counts, and only x86 has the entries in question.
    """
    lines = cpus.partition("\n\n")[0].splitlines()
    entries = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = entries.get("flags", "").split()
    return "amx_bf16" in flags or ("avx512_bf16" in flags and entries.get("vendor_id") == "AuthenticAMD")


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[None]:
    """Automatic mixed precision, off for float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: of the GPU's allocator or, on a CPU, of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_memory_of_process()


def set_up(threads: int) -> None:
    """Set torch up for a job: this many threads, deterministic algorithms, freed memory kept."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # otherwise cuBLAS is not deterministic
    torch.backends.cudnn.allow_tf32 = False  # otherwise float32 convolutions have a mantissa of ten bits
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms would import the compiler: a second
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time, nothing reads it


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of freed tensors instead of returning it to the system page by page.

    On a CPU a pass through the small network then takes 13.8 ms instead of 18.5 (batch 128, one thread, Zen 3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # absent from other C libraries
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        mallopt(mmap_threshold, 2**30)
        mallopt(trim_threshold, 2**31 - 1)


def describe(device: torch.device) -> str:
    """The device's name, for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} thread(s), {torch.backends.cpu.get_cpu_capability()}"
