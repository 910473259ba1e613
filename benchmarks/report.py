"""The benchmark's table in Markdown, and the machine in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pandas as pd
import torch

from unlearnable.compute.device import describe


def render_steps(table: pd.DataFrame, facts: list[str]) -> str:
    """The timed steps as Markdown, with the machine they were measured on."""

    def times(which: str) -> list[str]:
        columns = zip(table[f"{which}_s"], table[f"{which}_spread_s"], strict=True)
        return [f"{median:.3g} ± {spread / 2:.2g}" for median, spread in columns]

    def numbers(column: str, form: str) -> list[str]:
        return ["" if pd.isna(value) else format(value, form) for value in table[column]]

    shown = pd.DataFrame(
        {
            "network": table["network"],
            "work": table["work"],
            "passes": table["passes"],
            "plain, s": times("plain"),
            "ours, s": times("ours"),
            "ratio": numbers("ratio", ".2f"),
            "passes/s": numbers("passes_per_s", ".3g"),
            "GFLOP/s": numbers("gflops", ".3g"),
            "of the ceiling": numbers("share_of_ceiling", ".0%"),
        }
    )
    text = shown.to_markdown(index=False, disable_numparse=True)
    return f"## Steps\n\n{text}\n\n" + "".join(f"- {fact}\n" for fact in facts)


def render_ladder(table: pd.DataFrame) -> str:
    """The ingredients' ladder as Markdown."""
    shown = pd.DataFrame(
        {
            "network": table["network"],
            "REM noise step": table["rung"],
            "first call, s": [f"{value:.3g}" for value in table["first_call_s"]],
            "s": [f"{value:.3g}" for value in table["s"]],
            "gain": [f"{value:.2f}" for value in table["gain"]],
            "in all": [f"{value:.2f}" for value in table["in_all"]],
        }
    )
    return f"## The ingredients, one after another\n\n{shown.to_markdown(index=False, disable_numparse=True)}\n"


def render_profile(table: pd.DataFrame) -> str:
    """The shares of time, as Markdown."""
    kinds = [column for column in table.columns if column not in ("network", "implementation")]
    shown = table.assign(**{kind: [f"{share:.0%}" for share in table[kind]] for kind in kinds})
    return f"## Where the time goes\n\n{shown.to_markdown(index=False, disable_numparse=True)}\n"


def machine(device: torch.device) -> str:
    """The machine in words."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = named[0] if named else name
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    return f"{name}, {os.cpu_count()} cores; {describe(device)}; {versions}"
