"""The private folder of an audit, its study, and what it says in the end."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pandas as pd
import pytest
import yaml

from unlearnable.owners import findings
from unlearnable.owners.audit import Audit
from unlearnable.owners.pairs import audited
from unlearnable.owners.scan import scan
from unlearnable.tools.plan.reading import read_study

from .test_pairs import protected, write


@pytest.fixture
def made(tmp_path: Path) -> Audit:
    return create(tmp_path)


def create(tmp_path: Path, side: int = 24) -> Audit:
    for label, first in (("cat", 0), ("dog", 100)):
        for number in range(6):
            write(tmp_path / f"photos/{label}/{number}.jpg", first + number)
    originals = scan(tmp_path / "photos")
    release = scan(protected(tmp_path / "release", lambda name, _: f"{name}.png", side))
    audit = Audit(tmp_path, "mine")
    audit.create(audited(originals, release), originals, release, seeds=3)
    return audit


def test_only_the_owner_sees_it(made: Audit) -> None:
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (made.private, made.private.parent)} == {0o700}


def test_the_study_is_a_valid_one(made: Audit) -> None:
    study = read_study(made.study)
    victims = study.victims(*study.settings.run)
    assert len(victims) == 2 * 3 * (5 + 1)  # originals and release, three seeds, five ways and another size
    assert {cell.method for cell in victims} == {"clean"}
    assert {cell.radius for cell in victims} == {0, 4}  # half of 8
    assert study.layers.victim_training("released-32", "small-cnn").batch_size == 10


def test_rows_are_the_same_images(made: Audit) -> None:
    originals, release = (list(csv.DictReader(made.index(name).open())) for name in ("originals", "released"))
    for ours, theirs in zip(originals, release, strict=True):
        assert (ours["label"], ours["split"]) == (theirs["label"], theirs["split"])
        expected = ours["file"] if ours["split"] == "test" else f"{ours['file']}.png".replace("originals", "released")
        assert theirs["file"] == expected
        assert (made.private / "files" / theirs["file"]).is_file()
    assert [row["split"] for row in originals].count("test") == 2


def test_the_same_audit_writes_nothing_again_and_other_files_do(tmp_path: Path) -> None:
    audit = create(tmp_path)
    before = audit.study.stat().st_mtime_ns
    create(tmp_path)
    assert audit.study.stat().st_mtime_ns == before
    described = yaml.safe_load(audit.study.read_text())["datasets"]["released-32"]
    create(tmp_path, side=20)
    assert yaml.safe_load(audit.study.read_text())["datasets"]["released-32"] != described


# ---- what was found


def row(trainer: str, finding: str = "", verdict: str = "", **values: float) -> dict[str, object]:
    return {"trainer": trainer, "n": 3, "finding": finding or None, "verdict": verdict or None, **values}


def read(tmp_path: Path, *rows: dict[str, object]) -> list[findings.Row]:
    path = tmp_path / "audit.csv"
    columns = ["originals_mean", "release_mean", "protection", "low", "high"]
    pd.DataFrame(rows).reindex(columns=["trainer", "n", "finding", "verdict", *columns]).to_csv(path, index=False)
    return findings.read([path])


def test_findings_are_read_and_said(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        row("colour histogram", originals_mean=45.0, release_mean=44.0),
        row("standard", "protected", "protected against X: 31 % of 78 %", protection=69.0, low=55.0, high=80.0),
    )
    assert [each.trainer for each in rows] == ["standard", "colour histogram"]
    assert (rows[0].low, rows[0].originals, rows[1].protection) == (55.0, None, None)
    assert findings.lines(rows) == [
        "Protected against X: 31 % of 78 %.",
        "Colour histogram: 45 % on the originals, 44 % on the release.",
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (["protected", "protected"], "Protected against all 2 ways"),
        (["protected", "not protected", "undecided"], "Not protected against 1 of 3 ways"),
        (["cannot be shown", "no verdict"], "This task cannot show protection"),
        (["protected", "undecided"], "Undecided: protected against 1 of 2"),
        (["no verdict", "no verdict"], "No verdict on any way of training"),
    ],
)
def test_one_line_sums_up(tmp_path: Path, found: list[str], said: str) -> None:
    rows = read(tmp_path, *(row("x", finding, f"{finding} x") for finding in found), row("colour histogram"))
    assert findings.verdict(rows).startswith(said)
