"""Presets: budgets to lay under a study."""

from __future__ import annotations

from pathlib import Path

from unlearnable.errors import UserError

PRESETS = Path(__file__).resolve().parents[3] / "config" / "presets"


def preset_file(name: str) -> Path:
    """The configuration file of a preset.

    Raises:
        UserError: there is no such preset.
    """
    path = PRESETS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
        raise UserError(f"{name}: no such preset; known: {known}")
    return path
