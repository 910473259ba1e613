"""Tables of numbers whose settings or code have changed are listed, and those that do not say what made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from unlearnable.recipe import DIGITS
from unlearnable.tools import stale

TABLE = "| noise | accuracy |\n|---|---|\n| EM | 37.8 ± 5.7 |\n"
DATE = "a machine, with 2 cores, 2026-11-29 -->"
OTHER = "0" * DIGITS


def page(folder: Path, text: str) -> list[str]:
    """What is listed for a project with one page."""
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs/page.md").write_text(text, encoding="utf-8")
    return stale.listed(folder)


@pytest.mark.parametrize(
    "name", ["default/radius/accuracy", "fashion/headline/cost", "paper/radius/paper-radius/accuracy"]
)
def test_a_table_of_the_present_settings_and_code_is_not_listed(name: str, tmp_path: Path) -> None:
    assert page(tmp_path, f"<!-- made: {name} key={stale.key_of(name)}, {DATE}\n{TABLE}") == []


@pytest.mark.parametrize("name", ["default/radius/accuracy", "bench"])
@pytest.mark.parametrize("key", [OTHER, "unknown"])
def test_a_table_of_other_settings_or_code_is_listed(name: str, key: str, tmp_path: Path) -> None:
    (line,) = page(tmp_path, f"# Page\n\n<!-- made: {name} key={key}, {DATE}\n{TABLE}")
    assert line == (
        f"docs/page.md:4: stale: {name} was made with key {key} (a machine, with 2 cores, 2026-11-29), "
        f"which is now {stale.key_of(name)}"
    )


def test_keys_differ_between_studies_and_tables() -> None:
    names = ["default/radius/accuracy", "default/radius/cost", "fashion/headline/accuracy", "bench"]
    assert len({stale.key_of(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "above",
    [
        "",
        "Some text.\n",
        f"<!-- made: bench key=0123, {DATE}\n",  # too short
        f"<!-- made: bench, {DATE}\n",
        "<!-- made: bench key=unknown, 2026-11-29 -->\n",  # no machine
        "<!-- made: bench key=unknown, a machine -->\n",  # no date
        "<!-- not made here:  -->\n",
        f"<!-- made: bench key=unknown, {DATE}\n\n",  # not directly above
    ],
)
def test_a_table_without_a_mark_is_listed(above: str, tmp_path: Path) -> None:
    (line,) = page(tmp_path, above + TABLE)
    assert line.startswith(f"docs/page.md:{above.count(chr(10)) + 1}: no mark above it")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nothing/radius/accuracy", "there is no study 'nothing'"),
        ("accuracy", "there is no study 'accuracy'"),
        ("default/nothing/accuracy", "no experiment nothing"),
        ("default/radius/nothing", "no table nothing"),
    ],
)
def test_a_mark_that_names_no_table_is_listed(name: str, fault: str, tmp_path: Path) -> None:
    (line,) = page(tmp_path, f"<!-- made: {name} key={OTHER}, {DATE}\n{TABLE}")
    assert line.startswith(f"docs/page.md:2: the mark names {name}, but ")
    assert fault in line


@pytest.mark.parametrize(
    "text",
    [
        f"<!-- not made here: published by others -->\n{TABLE}",
        "| key | meaning |\n|---|---|\n| a | PGD-10 |\n",  # no numbers
        f"```\n{TABLE}```\n",  # an example
        "No table.\n",
    ],
)
def test_what_needs_no_key_is_not_listed(text: str, tmp_path: Path) -> None:
    assert page(tmp_path, text) == []


def test_every_table_of_a_page_is_looked_at(tmp_path: Path) -> None:
    lines = page(tmp_path, f"{TABLE}\ntext\n\n```\n| code |\n```\n{TABLE}\n<!-- not made here: others -->\n{TABLE}")
    assert [line.split(":")[1] for line in lines] == ["1", "10"]


def test_every_table_of_numbers_in_the_pages_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        stale.main([])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == (lines != ["No table of numbers is stale."])
    assert [line for line in lines if ": stale: " not in line and line != "No table of numbers is stale."] == []


def test_the_command_ends_well_if_nothing_is_stale(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"<!-- not made here: others -->\n{TABLE}", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        stale.main(["--directory", str(tmp_path)])
    assert (ended.value.code, capsys.readouterr().out) == (False, "No table of numbers is stale.\n")


def test_a_folder_without_pages_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no README\.md; set --directory"):
        stale.main(["--directory", str(tmp_path)])
