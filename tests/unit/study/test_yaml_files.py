"""Configuration files that Snakemake would read otherwise than they are written, or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from unlearnable.errors import UserError
from unlearnable.study.yaml_files import composed, require_unambiguous
from unlearnable.tools import check

ROOT = Path(__file__).parents[3]
SHIPPED = [*ROOT.glob("config/**/*.yaml"), *ROOT.glob("profiles/*/*.yaml"), ROOT / "workflow/references/settings.yaml"]


def refused(content: str | bytes, folder: Path, name: str = "mine.yaml") -> list[str]:
    """The lines that refuse a file, without its folder."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as raised:
        require_unambiguous([path])
    return [line.removeprefix(f"{folder}/") for line in str(raised.value).splitlines()]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_shipped_files_are_read_as_they_are_written(path: Path) -> None:
    require_unambiguous([path])


# ---- keys


@pytest.mark.parametrize(
    ("content", "line", "key", "first"),
    [
        ("run: [a]\nseed: 1\nrun: [b]\n", 3, "run", 1),
        ("victim:\n  default:\n    steps: 5\n    lr: 0.1\n    steps: 6\n", 5, "victim.default.steps", 3),
        ("a: {b: 1,\n  c: 2,\n  'b': 3}\n", 3, "a.b", 1),
        ("a:\n- x: 1\n- y: {z: 1,\n    z: 2}\n", 4, "a.1.y.z", 3),
        ("a: &a\n  b: 1\n  b: 2\nc: *a\nd: *a\n", 3, "a.b", 2),
        ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n", 4, "b.<<", 3),
    ],
)
def test_a_key_that_appears_twice_is_refused_with_both_lines(
    tmp_path: Path, content: str, line: int, key: str, first: int
) -> None:
    message = f"this key is already in line {first}, and only one of the two would count; remove one"
    assert refused(content, tmp_path) == [f"mine.yaml:{line}: {key}: {message}"]


def test_so_is_one_in_json_even_if_tabs_indent_it(tmp_path: Path) -> None:
    said = refused(
        '{\n\t"run": ["a"],\n\t"victim": {"default": {"steps": 5,\n\t\t"steps": 6}}\n}\n', tmp_path, "a.json"
    )
    assert [line.partition(",")[0] for line in said] == [
        "a.json:4: victim.default.steps: this key is already in line 3"
    ]


def test_every_file_and_every_key_has_its_line(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text("a: 1\na: 2\nb: 1\nb: 2\na: 3\n")
    with pytest.raises(UserError) as raised:
        require_unambiguous([tmp_path / "one.yaml", tmp_path / "two.yaml"])
    lines = [line.removeprefix(f"{tmp_path}/").split(": ")[:2] for line in str(raised.value).splitlines()]
    assert lines == [
        [f"{name}.yaml:{line}", key] for name in ("one", "two") for line, key in ((2, "a"), (4, "b"), (5, "a"))
    ]


@pytest.mark.parametrize(
    ("key", "read_as"),
    [
        ("2024", "a number"),
        ("1.5", "a number"),
        ("yes", "true or false"),
        ("2024-01-01", "a date"),
        ("null", "nothing (empty, null or ~)"),
    ],
)
def test_a_key_that_yaml_does_not_read_as_text_is_to_be_quoted(tmp_path: Path, key: str, read_as: str) -> None:
    said = [f"mine.yaml:2: datasets.{key}: YAML reads this key as {read_as}, not as text; put it in quotes"]
    assert refused(f"datasets:\n  {key}: {{kind: folder}}\n", tmp_path) == said
    (tmp_path / "mine.yaml").write_text(f"datasets:\n  '{key}': {{kind: folder}}\n")
    require_unambiguous([tmp_path / "mine.yaml"])


def test_a_list_is_no_key(tmp_path: Path) -> None:
    assert refused("? [a, b]\n: 1\n", tmp_path) == ["mine.yaml:1: ?: a key must be text, not a list or further keys"]


# ---- values


@pytest.mark.parametrize(
    ("written", "read_as"), [("010", 8), ("-017", -15), ("1:20", 80), ("1:20.5", 80.5), ("00", 0), ("+0_1", 1)]
)
def test_a_number_that_yaml_reads_as_another_is_refused(tmp_path: Path, written: str, read_as: float) -> None:
    said = f"YAML reads {written} as the number {read_as}; write {read_as}, or '{written}' in quotes if it is text"
    assert refused(f"a:\n  seeds: [1, {written}]\n  steps: {written}\n", tmp_path) == [
        f"mine.yaml:2: a.seeds.1: {said}",
        f"mine.yaml:3: a.steps: {said}",
    ]


@pytest.mark.parametrize("written", ["0", "-1", "+10", "1_000", "0x1F", "0b101", "1.0e-3", "0.5", ".5", "-.inf", "08"])
def test_other_numbers_are_left_as_they_are(tmp_path: Path, written: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"a: {written}\nb: '010'\nc: \"1:20\"\n")
    require_unambiguous([tmp_path / "mine.yaml"])


def test_a_list_of_such_numbers_has_one_line(tmp_path: Path) -> None:
    (line,) = refused("classes:\n- 001\n- 002\n- 003\n", tmp_path)
    assert line.startswith("mine.yaml:2: classes.0: YAML reads 001 as the number 1; write 1, or '001' in quotes")
    assert line.endswith(" (and 2 more in this list)")


@pytest.mark.parametrize("digits", [20, 5000])  # Python reads no number of 5,000 digits
def test_a_number_that_no_computer_word_holds_is_refused(tmp_path: Path, digits: int) -> None:
    (line,) = refused(f"run: [a]\nsteps: {'9' * digits}\n", tmp_path)
    assert line.startswith("mine.yaml:2: steps: ")
    assert len(line) < 160


@pytest.mark.parametrize("written", ["2024-13-45", "=", "!!int x", "!!set {a, b}", "!!python/name:os.system x", "!a b"])
def test_what_yaml_has_no_value_for_is_refused(tmp_path: Path, written: str) -> None:
    (line,) = refused(f"run: [a]\nsteps: {written}\n", tmp_path)
    assert line.startswith("mine.yaml:2: steps: ")


# ---- aliases


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("a: &a\n  b: *a\n", "2: a.b"),
        ("a: &a [1, *a]\n", "1: a.1"),
        ("a: &a\n  b:\n  - c: *a\n", "3: a.b.0.c"),
        ("a: &a {<<: *a}\n", "1: a.<<"),
    ],
)
def test_an_alias_of_what_contains_it_is_refused(tmp_path: Path, content: str, place: str) -> None:
    said = f"mine.yaml:{place}: this alias (*) is inside what it stands for; write the keys out"
    assert refused(content, tmp_path) == [said]


def test_other_aliases_are_read_however_often_they_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30))]
    (tmp_path / "mine.yaml").write_text("\n".join(lines) + "\nb: {<<: *a0, y: 2}\n")
    require_unambiguous([tmp_path / "mine.yaml"])


# ---- files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("run: [a]\n".encode("utf-16"), "1: the file is UTF-16 or no text; save it as UTF-8"),
        ("run: [a]\n".encode("utf-16-le"), "1: the file is UTF-16 or no text; save it as UTF-8"),
        (
            "run: [a]\nclasses: [chien, éléphant]\n".encode("latin-1"),
            "2: not UTF-8: 'classes: [chien, éléphant]'; save the file as UTF-8",
        ),
        ("run: [a\nseed: 1\n", "2: not valid YAML: expected ',' or ']', but got ':'"),
        ("run:\n\t- a\n", "2: not valid YAML: found character '\\t' that cannot start any token"),
        ("a: 1\nb: *c\n", "2: not valid YAML: found undefined alias 'c'"),
        ("a: 1\n---\na: 2\n", "2: not valid YAML: but found another document"),
        ("a: 1\nb: \x07\n", "2: not valid YAML: the character U+0007 is not allowed"),
    ],
)
def test_a_file_that_is_not_yaml_is_named_with_its_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert refused(content, tmp_path) == [f"mine.yaml:{said}"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "must hold keys and values, but is empty"),
        ("- a\n", "must hold keys and values"),
        ("[" * 50_000, "nested too deeply"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
    ],
)
def test_a_file_without_keys_is_refused(tmp_path: Path, content: str, said: str) -> None:
    assert refused(content, tmp_path) == [f"mine.yaml: {said}"]


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xef\xbb\xbfrun: [a]\n")
    require_unambiguous([tmp_path / "mine.yaml"])


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in (
        ("pipe", "not a regular file"),
        ("", "not a regular file"),
        ("gone", "No such file"),
    ):
        with pytest.raises(UserError, match=f"^{re.escape(str(tmp_path / name))}: {said}"):
            composed(tmp_path / name)


def test_the_check_before_snakemake_prints_the_line_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my study.yaml").write_bytes("run: [a]\n".encode("utf-16"))
    with pytest.raises(SystemExit) as ended:
        check.main([str(tmp_path / "my study.yaml")])
    assert ended.value.code == f"{tmp_path}/my study.yaml:1: the file is UTF-16 or no text; save it as UTF-8"
    check.main([])
