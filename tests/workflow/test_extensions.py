"""What is added to an axis as a folder can be chosen in a study: nothing else has to change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .pipeline import Project, checkout

SETTINGS = '''
from unlearnable.products.settings import {base}


class {name}({base}):
    """Made for this test."""

    product = "{product}"
    stem = "{stem}"
    title = "{title}"
'''


def add_product(repo: Path, kind: str, product: str, stem: str, title: str) -> None:
    """A folder with a table or figure that copies the code of one that there is."""
    products = repo / "workflow/unlearnable/products"
    folder = products / product.replace("-", "_")
    folder.mkdir()
    base, name = f"{kind.capitalize()}Settings", product.title().replace("-", "")
    about = SETTINGS.format(base=base, name=name, product=product, stem=stem, title=title)
    (folder / "settings.py").write_text(about)
    (folder / "__init__.py").touch()
    (folder / "caption.rst").write_text("A new one.\n")
    (folder / f"{kind}.py").write_text((products / f"accuracy_{kind}/{kind}.py").read_text())


def test_a_new_table_and_a_new_figure_are_planned(finished: Project, tmp_path: Path) -> None:
    repo = checkout(tmp_path / "repo", finished.repo)
    add_product(repo, "table", "short-table", "short", "a short table")
    add_product(repo, "figure", "bar-chart", "bars", "a bar chart")
    products = [*finished.config["experiments"]["tiny"]["products"], "short-table", "bar-chart"]
    change = {"experiments": {"tiny": {"products": products}}, "render": {"short_table": {"decimals": 0}}}
    study = replace(finished.having(change, tmp_path), repo=repo)
    printed = study.run("-n")
    assert "Table: a short table, tiny" in printed
    assert "Figure: a bar chart, tiny" in printed
    assert study.job_counts() == {"table": 1, "figure": 1}
