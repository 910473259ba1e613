"""Peak memory, in bytes on every system."""

from __future__ import annotations

import platform
import resource

import numpy as np
import pytest

from unlearnable.progress import peak_memory_of_process


def test_the_peak_is_that_of_the_process_in_bytes() -> None:
    held = np.ones(2**25)  # 256 MiB
    assert held.nbytes < peak_memory_of_process() < 100 * held.nbytes


def test_macos_counts_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert peak_memory_of_process() == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
