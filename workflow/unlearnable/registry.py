"""Networks and noise methods by name: one module each, found by its file name."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType


def module_name(kind: str, name: str) -> str:
    """The module of a slug: ``("networks", "small-cnn")`` is ``unlearnable.networks.small_cnn``."""
    return f"unlearnable.{kind}.{name.replace('-', '_')}"


def available(kind: str) -> list[str]:
    """The slugs of a kind (``networks`` or ``noises``), without importing any of them."""
    modules = Path(__file__).parent.joinpath(kind).glob("*.py")
    return sorted(m.stem.replace("_", "-") for m in modules if not m.stem.startswith("_"))


def load(kind: str, name: str) -> ModuleType:
    """Import the module of a slug that ``available`` lists.

    Raises:
        KeyError: there is no such module.
    """
    if name not in available(kind):
        raise KeyError(f"{kind}: {name!r} does not exist; known: {', '.join(available(kind))}")
    return importlib.import_module(module_name(kind, name))
