"""What an audit found is in the card of a release, whose sums still fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unlearnable import files
from unlearnable.owners.audited_card import state_findings, with_findings
from unlearnable.owners.findings import Row
from unlearnable.owners.verify import faults

from ..stages.test_release import Owner


def rows(verdict: str) -> list[Row]:
    return [Row("standard training", 78.0, 31.0, 69.4, 55.0, 80.0, 3, "protected", verdict)]


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    made = Owner(tmp_path)
    made.release()
    return made


def test_the_card_says_what_was_found_and_the_release_is_intact(owner: Owner) -> None:
    release, manifest = owner.folder / "release/mine", owner.folder / "record/manifest.json"
    images = {path: path.read_bytes() for path in release.rglob("*") if path.is_file() and path.parent != release}
    before = files.read_json(manifest)
    assert "was not audited" in (release / "README.md").read_text()
    for verdict in ("protected against X: 31 % of 78 %", "protected against X: 30 % of 78 %"):
        state_findings(release, manifest, rows(verdict))
        card = (release / "README.md").read_text()
        assert card.count("What the audit found") == card.count("- Protected against X") == 1
        assert f"- P{verdict[1:]}.\n" in card
        assert "was not audited" not in card
        assert card.count("## Limits") == 1
        assert not list(faults(release, owner.photos))
        assert {path: path.read_bytes() for path in images} == images
        files.check_files(manifest, release / "SHA256SUMS")
    after = files.read_json(manifest)
    assert after.keys() == before.keys()
    assert after | {files.HASHES: None} == before | {files.HASHES: None}
    assert {path.name for path in release.parent.iterdir()} == {"mine"}


def test_the_same_findings_change_nothing(owner: Owner) -> None:
    release, manifest = owner.folder / "release/mine", owner.folder / "record/manifest.json"
    state_findings(release, manifest, rows("protected against X: 31 % of 78 %"))
    before = release.stat().st_ino
    state_findings(release, manifest, rows("protected against X: 31 % of 78 %"))
    assert release.stat().st_ino == before


def test_files_are_copied_where_they_can_have_one_name(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    release = owner.folder / "release/mine"
    state_findings(release, owner.folder / "record/manifest.json", rows("protected against X: 31 % of 78 %"))
    assert not list(faults(release, owner.photos))


def test_a_card_of_another_version_gets_the_section_too() -> None:
    card = with_findings("# mine\n\n## Limits\n\n- All copies.\n", rows("protected against X: 31 % of 78 %"))
    assert card.startswith("# mine\n\n## Limits\n\n- All copies.\n\n## What the audit found\n")
