"""What a faulty value of a configuration is told: one short line that says what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from unlearnable.errors import UserError
from unlearnable.study.study import Study

STUDY = """\
run: [own]
datasets:
  mine: {kind: folder, root: photos, image_size: 32, classes: [cat, dog]}
methods: {clean: {algorithm: clean}, em: {algorithm: em}}
countermeasures: {none: {kind: none}}
experiments:
  own: {datasets: [mine], noises: [{method: clean}], products: [accuracy-table]}
"""


def told(change: str, folder: Path, name: str = "change.yaml") -> list[str]:
    """The faults of a study over which a file is laid, without the file's name."""
    (folder / "study.yaml").write_text(STUDY)
    (folder / name).write_text(change)
    config: dict[str, Any] = {}
    for file in ("study.yaml", name):
        update_config(config, load_configfile(folder / file))  # as Snakemake reads them
    try:
        Study(config, [folder / "study.yaml", folder / name], folder)
    except UserError as error:
        return [line.removeprefix(f"{folder}/{name}:") for line in str(error).splitlines()]
    return []


def classes(names: str) -> str:
    return f"datasets:\n  mine:\n    classes: {names}\n"


@pytest.mark.parametrize(
    ("names", "key", "read_as"),
    [
        ("[yes, no]", "0", "true or false; put it in quotes (and 1 more in this list)"),
        ("[cat, on, off]", "1", "true or false; put it in quotes (and 1 more in this list)"),
        ("[0, 1, 2]", "0", "a number; put it in quotes (and 2 more in this list)"),
        ("[cat, 1.5]", "1", "a number; put it in quotes"),
        ("[cat, null]", "1", "nothing (empty, null or ~); put it in quotes"),
        ("[cat, 2024-01-01]", "1", "a date; put it in quotes"),
    ],
)
def test_a_class_that_yaml_does_not_read_as_text_is_to_be_quoted(
    tmp_path: Path, names: str, key: str, read_as: str
) -> None:
    said = f"3: datasets.mine.classes.{key}: must be text, but YAML reads it as {read_as}"
    assert told(classes(names), tmp_path) == [said]


def test_quoted_classes_are_text(tmp_path: Path) -> None:
    assert told(classes("['yes', 'no', '001', '2024-01-01']"), tmp_path) == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("[cat, dog, cat]", "0 and 2 are both 'cat'"),
        (str([f"class {number}" for number in range(1000)] * 2), "0 and 1000 are both 'class 0'"),
        ('["caf\\u00e9", cat, "cafe\\u0301"]', "0 and 2 are both 'cafe\u0301'"),
    ],
)
def test_a_class_that_appears_twice_has_one_short_line(tmp_path: Path, names: str, said: str) -> None:
    assert told(classes(names), tmp_path) == [f"3: datasets.mine.classes: class names must differ, but {said}"]


@pytest.mark.parametrize("quoted", [True, False])
def test_a_dataset_may_be_called_by_a_number_in_quotes(tmp_path: Path, quoted: bool) -> None:
    described = "{kind: folder, root: photos, image_size: 32, classes: [cat, dog]}"
    used = "'2024'" if quoted else "2024"
    said = told(f"datasets: {{'2024': {described}}}\nexperiments:\n  own: {{datasets: [{used}]}}\n", tmp_path)
    must = "3: experiments.own.datasets.0: must be text, but YAML reads it as a number; put it in quotes"
    assert said == ([] if quoted else [must])


PLAIN = "write {}, without quotes and leading zeros"
EXPONENT = "write it with a point, a sign in the exponent and without quotes, such as {}"


@pytest.mark.parametrize(
    ("key", "text", "advice", "number"),
    [
        ("steps", "08", PLAIN, "8"),
        ("steps", "12", PLAIN, "12"),
        ("steps", "1e3", PLAIN, "1000"),
        ("lr", "010", PLAIN, "10"),
        ("lr", "1e-3", EXPONENT, "1.0e-3"),
        ("lr", "1.5e3", EXPONENT, "1.5e+3"),
        ("lr", "0.5", "write {}, without quotes", "0.5"),
    ],
)
def test_a_number_that_yaml_reads_as_text_is_told_how_to_write_it(
    tmp_path: Path, key: str, text: str, advice: str, number: str
) -> None:
    (line,) = told(f"victim:\n  default:\n    {key}: '{text}'\n", tmp_path)
    assert line.startswith(f"3: victim.default.{key}: Input should be a valid ")
    assert line.endswith(f", not '{text}' (YAML reads {text} as text; {advice.format(number)})")
    assert told(f"victim:\n  default:\n    {key}: {number}\n", tmp_path) == []


@pytest.mark.parametrize("written", ["inf", "nan", "fast"])
def test_text_that_is_no_number_has_no_such_advice(tmp_path: Path, written: str) -> None:
    (line,) = told(f"victim:\n  default:\n    lr: {written}\n", tmp_path)
    assert line == f"3: victim.default.lr: Input should be a valid number, not '{written}'"


@pytest.mark.parametrize(
    ("written", "read_as"), [(".inf", "inf"), ("-.inf", "-inf"), (".nan", "nan"), ("1.0e+400", "inf")]
)
def test_no_number_is_infinite(tmp_path: Path, written: str, read_as: str) -> None:
    said = told(f"victim:\n  default:\n    lr: {written}\nmethods:\n  em:\n    alpha_u: {written}\n", tmp_path)
    assert said == [
        f"6: methods.em.alpha_u: Input should be a finite number, not {read_as}",
        f"3: victim.default.lr: Input should be a finite number, not {read_as}",
    ]


@pytest.mark.parametrize("written", ["Infinity", "NaN", "1e400"])
def test_nor_is_one_in_json(tmp_path: Path, written: str) -> None:
    (line,) = told(f'{{\n\t"victim":\n\t{{"default": {{"lr": {written}}}}}\n}}', tmp_path, "change.json")
    assert line.startswith("3: victim.default.lr: Input should be a finite number")


def test_a_whole_number_is_not_infinite_either(tmp_path: Path) -> None:
    (line,) = told("victim:\n  default:\n    steps: .inf\n", tmp_path)
    assert line.startswith("3: victim.default.steps: Input should be a ")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("methods:\n  tap:\n    {algorithm: tap, preset: [original]}\n", "methods.tap.preset"),
        ("noise:\n  by_method:\n    em: {1: 2}\n", "noise.by_method.em.1"),
        ("methods:\n  em:\n    {algorithm: em, by_dataset: {true: {}}}\n", "methods.em.by_dataset.True"),
        ("datasets:\n  mine:\n    {kind: [folder]}\n", "datasets.mine.kind"),
        ("datasets:\n  mine:\n    {kind: zip}\n", "datasets.mine.kind"),
    ],
)
def test_a_value_of_another_kind_than_text_has_a_line_like_any_other(tmp_path: Path, change: str, key: str) -> None:
    (line,) = told(change, tmp_path)
    assert line.startswith(f"3: {key}: ")


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    (line,) = told(f"victim:\n  default:\n    lr: [{', '.join(['cat'] * 10_000)}]\n", tmp_path)
    assert len(line) < 160


@pytest.mark.parametrize(
    "mirror", ["http://[::1/x", "http://host:port/x", "http://host:99999/x", "http:///x", "https://?", "ftp://host/x"]
)
def test_a_mirror_must_be_an_address(tmp_path: Path, mirror: str) -> None:
    described = f"{{kind: svhn, image_size: 32, classes: ['0', '1'], mirrors: ['https://here/x', '{mirror}']}}"
    (line,) = told(f"datasets:\n  digits: {described}\n", tmp_path)
    assert line.startswith("2: datasets.digits.mirrors.1: ")
    assert mirror in line


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("[0, 1, 1]", "3: experiments.own.seeds: 1 is listed twice; list each seed once"),
        ("{noise: [0], victim: [2, 2]}", "3: experiments.own.seeds.victim: 2 is listed twice; list each seed once"),
    ],
)
def test_a_seed_that_is_listed_twice_is_found_in_its_line(tmp_path: Path, seeds: str, said: str) -> None:
    assert told(f"experiments:\n  own:\n    seeds: {seeds}\n", tmp_path) == [said]
