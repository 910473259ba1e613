"""Faults of a configuration, each as one line that names the file, the line and the key."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from unlearnable.errors import printable
from unlearnable.study.yaml_files import Key, composed, dotted, kind_of, shortened

Fault = tuple[Key, str]

NO_KEYS = ("[key]", "[list]", "[crossed]", "[name]", "[noise]")  # parts of pydantic's places that name a kind of value

# The files of config/ that every study extends, in the order of the Snakefile.
DEFAULTS = ("config.yaml", "datasets.yaml", "paper.yaml")


def line(key: Key, message: str, files: Sequence[str | Path]) -> str:
    """One line about ``key``: file, line, dotted key, message.

    Args:
        key: location of the fault.
        message: what is wrong, and how to fix it.
        files: the YAML files of the configuration; the last one with the key is named.
    """
    return printable(f"{_place(key, files)}{dotted(key)}: {message}")  # a key may hold the end of a line


def described(error: Any) -> Fault:
    """The key, relative to the validated value, and the message of one pydantic error."""
    kind, message, value = error["type"], error["msg"], error["input"]
    key: Key = tuple(part for part in error["loc"] if part not in NO_KEYS)
    if kind == "unknown_key":
        return (*key, error["ctx"]["key"]), message
    if kind == "missing":
        return key, "this key is required"
    if kind == "string_type" and not isinstance(value, list | dict):
        return key, f"must be text, but YAML reads it as {kind_of(value)}; put it in quotes"
    if kind == "value_error" and isinstance(value, list | dict):
        return key, message.removeprefix("Value error, ")
    message = f"{message.removeprefix('Value error, ')}, not {shortened(repr(value))}"
    if kind.endswith("_type") and isinstance(value, str) and (number := _number(value, whole=kind == "int_type")):
        message += f" (YAML reads {value} as text; {number})"
    return key, message


def condensed(faults: Sequence[Fault]) -> list[Fault]:
    """The distinct faults, in order; of the items of a list with the same fault only the first."""
    alike: dict[Fault, list[Key]] = {}
    for key, message in dict.fromkeys(faults):
        place = key[:-1] if key and isinstance(key[-1], int) else key
        alike.setdefault((place, message), []).append(key)
    return [
        (keys[0], message + (f" (and {len(keys) - 1} more in this list)" if len(keys) > 1 else ""))
        for (_, message), keys in alike.items()
    ]


def _number(text: str, whole: bool) -> str | None:
    """How to write a number that was read as text; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value) or not text.isascii():
        return None
    if (whole or not re.search("[eE]", text)) and value.is_integer():
        return f"write {int(value)}, without quotes and leading zeros"
    mantissa, _, exponent = text.strip().lower().partition("e")
    if not exponent:
        return f"write {value}, without quotes"
    point = mantissa if "." in mantissa else f"{mantissa}.0"
    sign = exponent if exponent[0] in "+-" else f"+{exponent}"
    return f"write it with a point, a sign in the exponent and without quotes, such as {point}e{sign}"


def _place(key: Key, files: Sequence[str | Path]) -> str:
    """``file:line: `` of the deepest part of ``key`` in any file; if several have it, in the last one, which wins."""
    best, where = 0, ""
    for file in files:
        node = composed(file)
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
