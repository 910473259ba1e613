"""Every entry of an axis is part of the package, so that the contracts on imports hold for it too."""

from __future__ import annotations

from pathlib import Path

import pytest

from unlearnable import registry


@pytest.mark.parametrize("axis", registry.AXES)
def test_the_folder_of_every_entry_has_an_init_file(axis: str) -> None:
    folders = {Path(*registry.module_name(axis, name).split(".")[1:]).parent for name in registry.available(axis)}
    missing = [folder for folder in folders if not (registry.PACKAGE / folder / "__init__.py").exists()]
    assert not missing
