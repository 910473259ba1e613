"""What a stage depends on, as plain values: its canonical settings and a hash of its code."""

from __future__ import annotations

import ast
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

from unlearnable.files import digest

PACKAGE = "unlearnable"


def canonical(value: Any) -> Any:
    """``value`` as plain JSON types with sorted keys, so that equal settings have equal ``repr``.

    Raises:
        TypeError: the value holds something JSON cannot express.
    """
    return json.loads(json.dumps(value, sort_keys=True, allow_nan=False))


@cache
def code_fingerprint(script: str | Path, *modules: str) -> str:
    """A hash of a script, of ``modules`` it loads by name, and of every project module any of them imports.

    Comments, docstrings and formatting do not count: the hash is of the parsed program. It is found
    without running anything, so it costs no import of torch.
    """
    return digest(programs(script, *modules))


@cache
def programs(script: str | Path, *modules: str) -> dict[str, str]:
    """What ``code_fingerprint`` is the hash of: the programs by module, that of the script under an empty name."""
    meaning, imported = _parsed(Path(script))
    sources = {"": meaning}
    waiting = sorted(imported | {*modules})
    while waiting:
        module = waiting.pop()
        if module not in sources:
            sources[module], imported = _parsed(_path_of(module))
            waiting.extend(imported)
    return sources


@cache
def _path_of(module: str) -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    base = Path(spec.submodule_search_locations[0]).joinpath(*module.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def _parsed(path: Path) -> tuple[str, frozenset[str]]:
    """A file's program without docstrings, and the project modules that it names in an import, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    modules = frozenset(m for m in found if m.split(".")[0] == PACKAGE and _path_of(m).is_file())
    return ast.unparse(tree), modules
