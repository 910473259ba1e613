"""The data card of a release that was audited."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from unlearnable import files
from unlearnable.datasets import released
from unlearnable.owners import findings
from unlearnable.owners.findings import Row
from unlearnable.stages.card import NOT_AUDITED
from unlearnable.stages.release import replacing

HEADING = "\n## What the audit found\n"


def with_findings(card: str, rows: Sequence[Row]) -> str:
    """A data card with what an audit found, in place of what an earlier one did."""
    before = card.partition(HEADING)[0].replace(NOT_AUDITED, "")
    lines = "\n".join(f"- {line}" for line in findings.lines(rows))
    about = (
        "Networks were trained on the released files and on their originals, and tested on originals that neither had\n"
        "seen: the accuracy after training on the release, of that after training on the originals."
    )
    return f"{before}{HEADING}\n{findings.verdict(rows)}\n{about}\n\n{lines}\n"


def state_findings(release: Path, manifest: Path, rows: Sequence[Row]) -> None:
    """Write what an audit found into the card of a release, with sums that fit.

    The whole folder is replaced at once, by one whose other files are the same.

    Args:
        release: its folder.
        manifest: the JSON file of the job that made it.
        rows: of the audit.

    Raises:
        UserError: the disk is full, or a file is damaged.
    """
    card = (release / released.CARD).read_text(encoding="utf-8")
    audited = with_findings(card, rows)
    if audited == card:
        return
    sums = released.read_sums(release / released.SUMS)
    with files.naming_disk_faults(release), replacing(release) as folder:
        for name in sums.keys() - {released.CARD}:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _linked(release / name, folder / name)
        _write(folder / released.CARD, audited)
        sums[released.CARD] = files.sha256(folder / released.CARD)
        _write(folder / released.SUMS, "".join(released.sums_line(found, name) for name, found in sums.items()))
    content = files.read_json(manifest)
    hashes = {name: files.sha256(manifest.parent / name) for name in content[files.HASHES]}
    files.write_json(manifest, content | {files.HASHES: hashes})


def _linked(file: Path, path: Path) -> None:
    """Give a file a second name, or copy it where the file system allows only one, as those of memory cards."""
    try:
        os.link(file, path)
    except PermissionError:
        shutil.copyfile(file, path)


def _write(path: Path, text: str) -> None:
    with files.atomic(path) as file:
        file.write(text.encode())
