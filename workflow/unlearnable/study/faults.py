"""Faults of a configuration, each as one line that names the file, the line and the key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from unlearnable.errors import printable

Key = tuple[str | int, ...]
Fault = tuple[Key, str]

# The files of config/ that every study extends, in the order of the Snakefile.
DEFAULTS = ("config.yaml", "datasets.yaml", "paper.yaml")


def line(key: Key, message: str, files: Sequence[str | Path]) -> str:
    """One line about ``key``: file, line, dotted key, message.

    Args:
        key: location of the fault.
        message: what is wrong, and how to fix it.
        files: the YAML files of the configuration; the last one with the key is named.
    """
    return printable(f"{_place(key, files)}{'.'.join(map(str, key))}: {message}")  # a key may hold the end of a line


def described(error: Any) -> Fault:
    """The key, relative to the validated value, and the message of one pydantic error."""
    kind, message = error["type"], error["msg"]
    key: Key = tuple(part for part in error["loc"] if part != "[key]")
    if kind == "unknown_key":
        return (*key, error["ctx"]["key"]), message
    if kind == "missing":
        return key, "this key is required"
    message = message.removeprefix("Value error, ") + f", not {error['input']!r}"
    if kind.endswith("_type") and isinstance(error["input"], str) and _is_number(error["input"]):
        message += f" (YAML reads {error['input']} as text; write it with a point and without quotes, such as 1.0e-3)"
    return key, message


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _place(key: Key, files: Sequence[str | Path]) -> str:
    """``file:line: `` of the deepest part of ``key`` in any file; if several have it, in the last one, which wins."""
    best, where = 0, ""
    for file in files:
        node = yaml.compose(Path(file).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        depth, row = 0, 0
        for part in key:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if k.value == str(part)]
                if not found:
                    break
                row, node = found[-1][0].start_mark.line, found[-1][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                row = node.start_mark.line
            else:
                break
            depth += 1
        if depth and depth >= best:
            best, where = depth, f"{file}:{row + 1}: "
    return where
