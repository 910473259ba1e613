"""Which finished results are those that a study asks for, by the recipes that they store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from unlearnable.errors import UserError
from unlearnable.files import peek_json, read_json
from unlearnable.recipe import Recipe, contents, difference, other_inputs, read_by
from unlearnable.study.recipes import Planned


class Fault(NamedTuple):
    """Why a result is not the one asked for.

    Attributes:
        reason: in words that follow the name of the result.
        inherited: whether it lies in a result that this one was made from.
    """

    reason: str
    inherited: bool = False


class Finished:
    """The results below a working directory; each file is read once.

    Args:
        folder: the working directory.
    """

    def __init__(self, folder: Path = Path()) -> None:
        self.folder = folder
        self._contents: dict[str, dict[str, Any] | None] = {}
        self._faults: dict[str, Fault | None] = {}

    def fault(self, planned: Planned) -> Fault | None:
        """Why a finished result is not the one asked for.

        Returns:
            None if it is, or if there is no such result, or none that can be read: damage is found by whoever reads it.
        """
        name = planned.file
        if name not in self._faults:
            fault = self._fault(planned)
            own = fault is not None and not fault.inherited
            self._faults[name] = None if own and self._damaged(name) else fault
        return self._faults[name]

    def _fault(self, planned: Planned) -> Fault | None:
        content = self._content(planned.file)
        if content is None:
            return None
        stored = Recipe.stored(content)
        own = difference(stored, planned.recipe)
        if stored is None or stored.where != planned.recipe.where:
            return None if own is None else Fault(own)
        for each in (source for sources in planned.made_from.values() for source in sources):
            fault = self.fault(each)  # first, as settings of tables repeat those of what they show
            if fault is not None:
                return fault if fault.inherited else Fault(f"was made from {each.file}, which {fault.reason}", True)
        if own is not None:
            return Fault(own)
        for name, digest in read_by(content).items():
            now = self._content(name)
            if now is not None and contents(now) != digest:
                return Fault(f"was made from other files than those of {name} (digest {digest}, now {contents(now)})")
        inputs = other_inputs(stored, planned.recipe)
        return None if inputs is None else Fault(inputs)

    def _damaged(self, name: str) -> bool:
        """Whether a file with a recipe has changed since its job wrote it; one without a recipe may have no seal."""
        if Recipe.stored(self._content(name) or {}) is None:
            return False
        try:
            read_json(self.folder / name)
        except UserError:
            return True
        return False

    def _content(self, name: str) -> dict[str, Any] | None:
        """The content of a JSON file; None if there is none."""
        if name not in self._contents:
            self._contents[name] = peek_json(self.folder / name)
        return self._contents[name]
