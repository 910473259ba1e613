"""A table or figure is a folder: what is found there can be chosen, and says all that the study has to know."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from unlearnable import registry
from unlearnable.products.product import Given, Inputs, validate_given
from unlearnable.study.faults import DEFAULTS
from unlearnable.study.products import by_stem, caption, config, inputs
from unlearnable.study.schema import StudySettings
from unlearnable.study.study import Study

PACKAGE = registry.PACKAGE
NEW = '''
from unlearnable.products.settings import {base}


class New({base}):
    """Made for this test."""

    product = "{product}"
    stem = "new"
    title = "something new"
'''
FOUND = """
import json
from unlearnable import registry
from unlearnable.study.products import by_stem
from unlearnable.study.schema import StudySettings
schema = StudySettings.model_json_schema()["$defs"]
print(json.dumps({
    "registry": registry.available("products"),
    "render": sorted(schema["Render"]["properties"]),
    "experiment": schema["Experiment"]["properties"]["products"]["items"]["enum"],
    "stems": [by_stem("tables")["new"].product, by_stem("figures")["new"].product],
}))
"""


def test_a_new_table_and_a_new_figure_can_be_chosen_and_styled(tmp_path: Path) -> None:
    copy = tmp_path / "unlearnable"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for kind, product in (("table", "new-table"), ("figure", "new-figure")):
        folder = copy / "products" / product.replace("-", "_")
        folder.mkdir()
        (folder / "settings.py").write_text(NEW.format(base=f"{kind.capitalize()}Settings", product=product))
        (folder / f"{kind}.py").write_text("def write(given, inputs, out): ...\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    printed = subprocess.check_output([sys.executable, "-c", FOUND], env=environment, cwd=tmp_path, text=True)
    found = json.loads(printed)
    known = registry.available("products")
    assert found["registry"] == found["experiment"] == sorted([*known, "new-figure", "new-table"])
    assert found["render"] == [name.replace("-", "_") for name in found["registry"]]
    assert found["stems"] == ["new-table", "new-figure"]


def test_every_product_has_files_of_its_own_and_says_what_it_shows() -> None:
    every = [product for kind in ("tables", "figures") for product in by_stem(kind).values()]
    assert sorted(product.product for product in every) == registry.available("products")
    for product in every:
        assert registry.module_name("products", product.product).endswith(f".{product.kind[:-1]}")
        assert re.fullmatch("[a-z]+(-[a-z]+)*", product.stem)
        assert product.title
        assert len(caption(product.product)) > 100


@pytest.fixture(scope="module")
def study() -> Study:
    """The default study."""
    merged: dict[str, Any] = {}
    paths = [PACKAGE.parents[1] / "config" / name for name in DEFAULTS]
    for path in paths:
        update_config(merged, yaml.safe_load(path.read_text()))
    return Study(merged, paths)


@pytest.mark.parametrize("product", registry.available("products"))
def test_what_the_study_gives_is_what_a_product_takes(study: Study, product: str) -> None:
    given = validate_given(config(study, "radius", product))
    assert (given.product, given.experiment) == (product, "radius")
    assert given.style == type(given.style)(**given.style.model_dump())
    files = inputs(study, "radius", product, dated=list, ancient=lambda paths: None)
    read = {name: paths for name, paths in files.items() if paths is not None}
    assert 0 < len(read) == len(set(read) & set(Inputs.__dataclass_fields__))
    for name in set(read) & set(Given.model_fields):
        assert len(read[name]) == len(getattr(given, name)) > 0


def test_a_product_without_settings_of_its_own_has_the_defaults_of_its_class() -> None:
    render = StudySettings.model_fields["render"].default
    assert render.heat_map.width == 9.0
    assert render.cost_table.decimals == 1
    assert render.accuracy_table.decimals == 2
