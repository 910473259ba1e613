"""The dependencies of a stage as plain values: canonical settings, and a hash of the code that shapes its results."""

from __future__ import annotations

import ast
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from unlearnable.files import digest

PACKAGE = "unlearnable"
# Modules that may change the bytes of a result. Everything else (jobs, tools, study, progress, messages) only runs jobs
# or fills in settings, whose values are compared separately.
SCIENCE = (
    *("datasets", "networks", "noises", "countermeasures", "compute", "training", "stages", "products"),
    *("files", "arrays", "bounds", "randomness"),
)


def canonical(value: Any) -> Any:
    """``value`` as plain JSON types with sorted keys, so that equal settings have an equal ``repr``.

    Raises:
        TypeError: the value holds something JSON cannot express.
    """
    return json.loads(json.dumps(value, sort_keys=True, allow_nan=False))


@cache
def code_fingerprint(*modules: str) -> str:
    """A hash of modules, and of every module of the science folders that they import, by content.

    Comments, docstrings, formatting and the wording of logs, errors and descriptions are ignored, as are the names and
    places of modules: each import is replaced by the hash of the imported module. Nothing is run, so torch is not
    imported.

    Args:
        modules: of a stage or product, and those that it loads by name, such as ``unlearnable.noises.rem.noise``.
    """
    return digest([_read(module).hash for module in modules])


def uses(module: str, other: str) -> bool:
    """Whether a module imports another module of the science folders, directly or indirectly."""
    return other in _read(module).imported


class _Read(NamedTuple):
    """The hash of a module, computed with imports replaced by hashes; and the modules that it imports."""

    hash: str
    imported: frozenset[str]


@cache
def _read(module: str) -> _Read:
    path, contents = _path_of(module), _Contents()
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    found = digest(ast.unparse(contents.visit(tree)))
    return _Read(found, contents.imported.union(*(_read(each).imported for each in contents.imported)))


class _Contents(ast.NodeTransformer):
    """Removes text for people, and replaces the project's modules by their hashes."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # name of a module in the file, and its hash
        self.imported: frozenset[str] = frozenset()

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.AST]:
        if node.level or not node.module or node.module.split(".")[0] != PACKAGE:
            return node
        kept: list[ast.AST] = []
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if _path_of(inner).is_file():
                self.names[alias.asname or alias.name] = found = self._hash_of(inner)
                kept.append(ast.Expr(ast.Constant(found)))
            else:
                kept.append(ast.ImportFrom(f"_{self._hash_of(node.module)}", [alias], 0))
        return kept

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(f"_{self.names[node.id]}", node.ctx) if node.id in self.names else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _is_said(node.func):
            node.args, node.keywords = [], []
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)

    def _hash_of(self, module: str) -> str:
        """The replacement for an import of a module; empty if the module is not in the science folders."""
        if module.split(".")[1] not in SCIENCE:
            return ""
        self.imported |= {module}
        return _read(module).hash

    def _without_docstring(self, node: Any) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)


def _is_said(function: ast.expr) -> bool:
    """Whether a call only outputs text: ``log.info``, an error for the user."""
    if isinstance(function, ast.Attribute):
        return isinstance(function.value, ast.Name) and function.value.id == "log"
    return isinstance(function, ast.Name) and function.id in ("UserError", "Stopped")


@cache
def _path_of(module: str) -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    base = Path(spec.submodule_search_locations[0]).joinpath(*module.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
