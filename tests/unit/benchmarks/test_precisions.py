"""The benchmark names both precisions, and warns where ``auto`` chooses the slower."""

from __future__ import annotations

import pytest
import torch

from benchmarks import precisions
from benchmarks.precisions import Speeds, facts

CPU = torch.device("cpu")
FASTER, SLOWER = Speeds("product", 0.012, 0.006), Speeds("pass", 0.0115, 0.0138)


@pytest.mark.parametrize(
    ("chosen", "speeds", "warned"),
    [
        (torch.bfloat16, [FASTER], ""),
        (torch.bfloat16, [FASTER, SLOWER], "bfloat16 is the slower** for pass:"),
        (torch.float32, [SLOWER], ""),
        (torch.float32, [FASTER, SLOWER], "float32 is the slower** for product:"),
    ],
)
def test_a_slower_choice_is_warned_of(
    chosen: torch.dtype, speeds: list[Speeds], warned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precisions, "choose_precision", lambda *_: chosen)
    lines = facts(speeds, CPU)
    warnings = [line for line in lines if "Warning" in line]
    assert len(warnings) == bool(warned)
    assert all(warned in line for line in warnings)
    assert len(lines) == len(speeds) + 1 + len(warnings)


def test_both_precisions_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precisions, "choose_precision", lambda *_: torch.float32)
    first, second = facts([SLOWER], CPU)
    assert first == "pass: float32 11.5 ms, bfloat16 13.8 ms, ratio 0.83"
    assert second == "`precision: auto` chooses float32 here"
