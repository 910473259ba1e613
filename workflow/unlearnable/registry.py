"""What a configuration chooses by name: readers, networks, noises, counter-measures and products.

An entry with settings is a folder that holds ``settings.py``, its code and, on some axes, further files; an entry
without settings is a single file. There is no other list: every entry in an axis's folder can be chosen.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

from pydantic import BaseModel, create_model

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Axis:
    """A folder of entries.

    Attributes:
        package: the folder, below ``unlearnable``.
        code: possible names of an entry's module beside its ``settings.py``.
        tag: the key, or class variable, that names an entry in its settings.
        base: the class in ``package.settings`` that all settings of the axis extend; empty if there is none.
        shared: modules of the folder that are not entries.
        files: whether the other modules of the folder are entries.
    """

    package: str
    code: tuple[str, ...] = ()
    tag: str = "kind"
    base: str = ""
    shared: tuple[str, ...] = ()
    files: bool = True


AXES = {
    "readers": Axis("datasets.readers", ("reader",), base="Dataset"),
    "networks": Axis("networks.architectures"),
    "noises": Axis("noises", ("noise",), "algorithm", "MethodSettings", ("settings", "method", "descent", "cost")),
    "countermeasures": Axis(
        "countermeasures", ("countermeasure",), base="CountermeasureSettings", shared=("settings", "base")
    ),
    "products": Axis("products", ("table", "figure"), "product", files=False),
}


def available(axis: str) -> list[str]:
    """The names of an axis's entries, without importing any of them."""
    return sorted(_entries(axis))


def module_name(axis: str, name: str) -> str:
    """The module of an entry: ``("networks", "small-cnn")`` is ``unlearnable.networks.architectures.small_cnn``.

    Raises:
        KeyError: there is no such entry.
    """
    entries = _entries(axis)
    if name not in entries:
        raise KeyError(f"{axis}: {name!r} does not exist; known: {', '.join(sorted(entries))}")
    return entries[name]


def load_module(axis: str, name: str) -> ModuleType:
    """Import the module of an entry.

    Raises:
        KeyError: there is no such entry.
    """
    return importlib.import_module(module_name(axis, name))


def load_file(axis: str, name: str, file: str) -> ModuleType | None:
    """Import ``file`` of an entry's folder; None if the entry has no such file, or no folder.

    Raises:
        KeyError: there is no such entry.
    """
    package, _, code = module_name(axis, name).rpartition(".")
    folder = PACKAGE.joinpath(*package.split(".")[1:])
    if code not in AXES[axis].code or not (folder / f"{file}.py").is_file():
        return None
    return importlib.import_module(f"{package}.{file}")


@functools.cache
def settings(axis: str, name: str) -> type[Any]:
    """The class of an entry's settings; for an entry without settings, one that holds only its name.

    Raises:
        KeyError: there is no such entry.
        TypeError: its ``settings.py`` has no class, or several, whose tag is the entry's name.
    """
    module, about = module_name(axis, name), AXES[axis]
    package, _, code = module.rpartition(".")
    if code not in about.code:
        base = getattr(importlib.import_module(f"unlearnable.{_base(axis)}"), about.base)
        fields: dict[str, Any] = {about.tag: (Literal[name], ...)}
        called = f"{name.title().replace('-', '')}{about.base.removesuffix('Settings')}"
        made: type[Any] = create_model(called, __base__=base, __doc__=_docstring(package, code), **fields)
        return made
    defined = vars(importlib.import_module(f"{package}.settings")).values()
    found = [each for each in defined if isinstance(each, type) and issubclass(each, BaseModel)]
    tagged = [each for each in found if _tag(each, about.tag) == (name,)]
    if len(tagged) != 1:
        raise TypeError(f"{package}.settings must define one class with the {about.tag} {name!r}, not {len(tagged)}")
    return tagged[0]


def validated(axis: str, values: dict[str, Any]) -> Any:
    """The settings of the entry named by the tag among ``values``.

    Raises:
        KeyError: there is no such entry.
        pydantic.ValidationError: they are not its settings.
    """
    return settings(axis, values[AXES[axis].tag]).model_validate(values)


def reader(axis: str) -> Callable[[Any], Any]:
    """A validator for a field with the settings of any entry of an axis: turns plain values into settings."""

    def read(values: Any) -> Any:
        return validated(axis, values) if isinstance(values, dict) else values

    return read


@functools.cache
def constant(axis: str, name: str, constant: str) -> Any:
    """The value of a constant of an entry's module, without importing the module; None if it is not defined there.

    Raises:
        KeyError: there is no such entry.
        ValueError: the constant is not a literal.
    """
    path = PACKAGE.joinpath(*module_name(axis, name).split(".")[1:]).with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [constant]:
            return ast.literal_eval(node.value)
    return None


def _docstring(package: str, code: str) -> str | None:
    """The first line of a module's docstring, without importing the module."""
    path = PACKAGE.joinpath(*package.split(".")[1:], f"{code}.py")
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return docstring and docstring.partition("\n")[0]


def _base(axis: str) -> str:
    package = AXES[axis].package
    return "datasets.settings" if package == "datasets.readers" else f"{package}.settings"


def _tag(settings: type[BaseModel], tag: str) -> tuple[Any, ...]:
    field = settings.model_fields.get(tag)
    return (getattr(settings, tag, None),) if field is None else get_args(field.annotation)


@functools.cache
def _entries(axis: str) -> dict[str, str]:
    """The modules of an axis's entries by name."""
    about = AXES[axis]
    folder, package = PACKAGE.joinpath(*about.package.split(".")), f"unlearnable.{about.package}"
    found: dict[str, str] = {}
    for path in folder.iterdir():
        name = path.stem.replace("_", "-")
        if (path / "settings.py").is_file():
            for code in about.code:
                if (path / f"{code}.py").is_file():
                    found[name] = f"{package}.{path.name}.{code}"
        elif about.files and path.suffix == ".py" and not path.name.startswith("_") and path.stem not in about.shared:
            found[name] = f"{package}.{path.stem}"
    return found
