"""The precision that ``auto`` chooses follows from the CPU's description alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unlearnable.compute import device
from unlearnable.compute.device import choose_precision

CPU = torch.device("cpu")
INTEL, AMD = "GenuineIntel", "AuthenticAMD"
AVX512 = "fpu sse2 avx2 avx512f avx512bw avx512_vnni"


def described(vendor: str, flags: str) -> str:
    """A host of two processors, as ``/proc/cpuinfo`` describes it."""
    one = "processor\t: {}\nvendor_id\t: {}\nmodel name\t: A CPU: amx_bf16\nflags\t\t: {}\nbugs\t\t: spectre_v1\n\n"
    return "".join(one.format(number, vendor, flags) for number in range(2))


@pytest.mark.parametrize(
    ("description", "wanted"),
    [
        (described(INTEL, f"{AVX512} avx512_bf16 amx_bf16 avx512_fp16 amx_tile amx_int8"), torch.bfloat16),
        (described(INTEL, f"{AVX512} avx512_bf16"), torch.float32),  # Cooper Lake, or AMX hidden from a guest
        (described(INTEL, f"{AVX512} avx512_bf16 amx_tile amx_int8"), torch.float32),
        (described(INTEL, "fpu sse2 avx2"), torch.float32),
        (described(AMD, f"{AVX512} avx512_bf16"), torch.bfloat16),  # Zen 4 and later
        (described(AMD, "fpu sse2 avx2"), torch.float32),  # Zen 3
        (described("CentaurHauls", f"{AVX512} avx512_bf16"), torch.float32),  # nothing is known of it
        ("processor\t: 0\nFeatures\t: fp asimd sve bf16 i8mm\nCPU implementer\t: 0x41\n\n", torch.float32),
        ("", torch.float32),
    ],
)
def test_auto_takes_bfloat16_where_it_is_known_to_be_faster(
    description: str, wanted: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(description)
    monkeypatch.setattr(device, "CPUINFO", path)
    assert choose_precision("auto", CPU) == wanted
    assert choose_precision("float32", CPU) == torch.float32
    assert choose_precision("bfloat16", CPU) == torch.bfloat16


def test_auto_takes_float32_where_the_system_describes_no_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "missing")
    assert choose_precision("auto", CPU) == torch.float32


@pytest.mark.parametrize("native", [True, False])
def test_auto_takes_bfloat16_on_gpus_that_have_it(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation)
    assert choose_precision("auto", torch.device("cuda")) == (torch.bfloat16 if native else torch.float32)
