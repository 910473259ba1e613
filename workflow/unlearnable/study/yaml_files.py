"""Configuration files as they are written, and what Snakemake would make of them without a word.

Snakemake reads YAML 1.1: of a key that appears twice it drops the first, ``010`` is 8 and ``1:20`` is 80.
"""

from __future__ import annotations

import codecs
import json
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from unlearnable.errors import UserError
from unlearnable.study.presets import PRESETS, preset_file

Key = tuple[str | int, ...]
Misread = tuple[int, Key, str]  # line from 0, key, what is wrong
TAG = "tag:yaml.org,2002:"
AS_WRITTEN = re.compile(r"[-+]?(0|[1-9][0-9_]*|0[bx][0-9a-fA-F_]+)|[^:]*\.[^:]*")  # numbers that everyone reads alike
LARGEST = 2**63 - 1
SHOWN = 60  # characters of a text in a message


def require_unambiguous(files: Sequence[str | Path]) -> None:
    """Make sure that Snakemake reads configuration files, YAML or JSON, as they are written.

    Raises:
        UserError: a file cannot be read, or it has a key twice, a key that is not text, an alias of what contains it,
            or a number in another notation than the decimal one; one line for each.
    """
    found = [
        f"{file}:{row + 1}: {dotted(key)}: {message}"
        for file in files
        for row, key, message in sorted(_misread(file), key=lambda fault: fault[0])
    ]
    if found:
        raise UserError("\n".join(found))


def composed(file: str | Path) -> yaml.Node | None:
    """The nodes of a YAML or JSON file, which know their lines; None if it is empty.

    Raises:
        UserError: it is missing, not UTF-8, or neither YAML nor JSON; one line.
    """
    path = Path(file)
    if path.resolve().parent == PRESETS:
        preset_file(path.stem)  # which names the known ones
    text = _text(path)
    try:
        if _is_json(text):
            text = text.replace("\t", " ")  # JSON may be indented by tabs, YAML may not
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        row = 1 if mark is None else mark.line + 1
        raise UserError(f"{file}:{row}: not valid YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        row = text[: error.position].count("\n") + 1
        raise UserError(f"{file}:{row}: not valid YAML: the character U+{error.character:04X} is not allowed") from None
    except RecursionError:
        raise UserError(f"{file}: nested too deeply") from None


def dotted(key: Key) -> str:
    """A key in messages: ``experiments.radius.seeds.0``."""
    return ".".join(map(str, key))


def shortened(text: str) -> str:
    """A text of any length in messages."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # Snakemake has read a pipe to its end already
            raise UserError(f"{path}: not a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data:
        raise UserError(f"{path}:1: the file is UTF-16 or no text; save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start)
        line = shortened(data.split(b"\n")[row].decode("latin-1").strip())
        raise UserError(f"{path}:{row + 1}: not UTF-8: {line!r}; save the file as UTF-8") from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _misread(file: str | Path) -> Iterator[Misread]:
    root = composed(file)
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{file}: must hold keys and values" + ", but is empty" * (root is None))
    try:
        yield from _below(root, (), 0, set(), set())
    except RecursionError:
        raise UserError(f"{file}: nested too deeply") from None


def _below(node: yaml.Node, key: Key, row: int, inside: set[int], done: set[int]) -> Iterator[Misread]:
    """What is misread in a node.

    Args:
        node: the node.
        key: its key.
        row: the line of the key.
        inside: the nodes that contain it.
        done: the nodes that were looked at, also under another alias.
    """
    if id(node) in inside:
        yield row, key, "this alias (*) is inside what it stands for; write the keys out"
    elif id(node) not in done:
        done.add(id(node))
        if not isinstance(node, yaml.ScalarNode) and node.tag not in (f"{TAG}map", f"{TAG}seq"):
            yield row, key, f"the tag {node.tag} has no meaning here; remove it"
        if isinstance(node, yaml.MappingNode):
            yield from _of_keys(node, key)
            for name, value in node.value:
                part = shortened(str(name.value)) if isinstance(name, yaml.ScalarNode) else "?"
                yield from _below(value, (*key, part), name.start_mark.line, inside | {id(node)}, done)
        elif isinstance(node, yaml.SequenceNode):
            yield from _of_list(node, key)
            for index, value in enumerate(node.value):
                if not isinstance(value, yaml.ScalarNode):
                    place = value.start_mark.line
                    yield from _below(value, (*key, index), place, inside | {id(node)}, done)
        elif message := _otherwise(node):
            yield node.start_mark.line, key, message


def _of_keys(node: yaml.MappingNode, key: Key) -> Iterator[Misread]:
    """Keys that are not text, or appear twice."""
    rows: dict[str, int] = {}
    for name, _ in node.value:
        row = name.start_mark.line
        if not isinstance(name, yaml.ScalarNode):
            yield row, (*key, "?"), "a key must be text, not a list or further keys"
            continue
        place = (*key, shortened(name.value))
        if name.tag not in (f"{TAG}str", f"{TAG}merge"):
            yield row, place, f"YAML reads this key as {kind_of(_value(name))}, not as text; put it in quotes"
        if name.value in rows:
            first = rows[name.value] + 1
            yield row, place, f"this key is already in line {first}, and only one of the two would count; remove one"
        rows.setdefault(name.value, row)


def _of_list(node: yaml.SequenceNode, key: Key) -> Iterator[Misread]:
    """The first item of a list that is misread; it stands for all."""
    items = [(index, item) for index, item in enumerate(node.value) if isinstance(item, yaml.ScalarNode)]
    faulty = [(index, item, message) for index, item in items if (message := _otherwise(item))]
    if faulty:
        index, item, message = faulty[0]
        more = f" (and {len(faulty) - 1} more in this list)" if len(faulty) > 1 else ""
        yield item.start_mark.line, (*key, index), f"{message}{more}"


def _otherwise(node: yaml.Node) -> str | None:
    """How YAML reads a value otherwise than it is written; None if it does not."""
    if node.tag == f"{TAG}str":
        return None
    text = shortened(node.value)
    value = _value(node)
    if value is None and node.tag != f"{TAG}null":
        return f"YAML cannot read {text!r} as {node.tag.removeprefix(TAG)}; if it is text, put it in quotes"
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"{text} is too large a number"
    if AS_WRITTEN.fullmatch(node.value):
        return None
    return f"YAML reads {text} as the number {value}; write {value}, or '{text}' in quotes if it is text"


def _value(node: yaml.Node) -> Any:
    """The value of a scalar; None if there is none for its notation or its tag."""
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError):
        return None


def kind_of(value: Any) -> str:
    """What YAML took something for, such as ``a number``."""
    kinds = {type(None): "nothing (empty, null or ~)", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), f"a {type(value).__name__}")
