"""From YAML files to checked settings, with errors that name the key, the file and the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unlearnable.errors import UserError
from unlearnable.settings import nearest
from unlearnable.study.schema import StudySettings

Key = tuple[str | int, ...]


# The files of config/ that every study is laid over, in the order of the Snakefile.
DEFAULTS = ("config.yaml", "datasets.yaml", "paper.yaml")


def check(config: dict[str, Any], files: Sequence[str | Path] = ()) -> StudySettings:
    """Turn a merged configuration into settings with all defaults filled in.

    Args:
        config: the merged configuration.
        files: the YAML files it came from; the last one that holds a key is the one an error names.

    Raises:
        UserError: one line for each fault: where it is, what is wrong, what would be right.
    """
    try:
        return StudySettings.model_validate(config)
    except ValidationError as error:
        faults = [_describe(fault, config, files) for fault in error.errors(include_url=False)]
        raise UserError("\n".join(faults)) from None


def fault(key: Key, message: str, files: Sequence[str | Path]) -> str:
    """One line about ``key``: file, line, dotted key, message."""
    return f"{_place(key, files)}{'.'.join(map(str, key))}: {message}"


def _describe(error: Any, config: dict[str, Any], files: Sequence[str | Path]) -> str:
    kind, message = error["type"], error["msg"]
    unknown = (error["ctx"]["key"],) if kind == "unknown_key" else ()
    key = _strip_tags((*error["loc"], *unknown), config)
    if kind == "missing":
        message = "this key is required"
    elif kind == "union_tag_not_found":
        key, message = (*key, error["ctx"]["discriminator"].strip("'")), "this key is required"
    elif kind == "union_tag_invalid":
        key = (*key, error["ctx"]["discriminator"].strip("'"))
        known = [tag.strip("' ") for tag in error["ctx"]["expected_tags"].split(",")]
        message = f"{error['ctx']['tag']!r} does not exist; {nearest(error['ctx']['tag'], known)}"
    elif kind != "unknown_key":
        message = message.removeprefix("Value error, ") + f", not {error['input']!r}"
        if kind.endswith("_type") and isinstance(error["input"], str) and _is_number(error["input"]):
            message += (
                f" (YAML reads {error['input']} as text; write it with a point and without quotes, such as 1.0e-3)"
            )
    return fault(key, message, files)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _strip_tags(location: Key, config: Any) -> Key:
    """Drop the parts of pydantic's location that are names of union members, not keys."""
    key: list[str | int] = []
    for index, part in enumerate(location):
        known = part in config if isinstance(config, dict) else isinstance(part, int)
        if known:
            config = config[part]
        elif index < len(location) - 1 or not isinstance(config, dict):
            continue
        key.append(part)
    return tuple(key)


def _place(key: Key, files: Sequence[str | Path]) -> str:
    """``file:line: `` of the deepest part of ``key`` that some file holds; of equals the last file, which counts."""
    best, where = 0, ""
    for file in files:
        node = yaml.compose(Path(file).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        depth, line = 0, 0
        for part in key:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if k.value == str(part)]
                if not found:
                    break
                line, node = found[-1][0].start_mark.line, found[-1][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line
            else:
                break
            depth += 1
        if depth and depth >= best:
            best, where = depth, f"{file}:{line + 1}: "
    return where
