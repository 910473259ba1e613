"""The private folder of a release: the owner's choices, the list of images, and the study that protects them."""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from unlearnable import files
from unlearnable.errors import UserError
from unlearnable.owners.scan import Found, Scan, held_out

SEM = {"k_u": 10, "alpha_u": 0.2, "clip": "pixels", "k_a": 3, "alpha_a": 0.66, "j": 2}  # cheaper than published
STRENGTHS = {"low": 4, "medium": 8, "high": 16}  # radius of the noise, in grey levels
CHOICES = ("strength", "format", "metadata", "minutes", "licence", "seed")
ABOUT, INDEX, STUDY, HELD_OUT, LEFT_OUT = "protect.json", "index.csv", "study.yaml", "held_out.csv", "left_out.csv"


Choices = dict[str, Any]  # of the owner, by CHOICES
Training = dict[str, int]  # image_size and steps


@dataclass(frozen=True)
class Project:
    """What is private about one release.

    Attributes:
        root: the folder that holds ``results``.
        name: of the release.
    """

    root: Path
    name: str

    @property
    def private(self) -> Path:
        """Its folder, which is never handed out."""
        return self.root / "results" / "private" / self.name

    @property
    def release(self) -> Path:
        """The folder to hand out."""
        return self.root / "results" / "release" / self.name

    @property
    def record(self) -> Path:
        """What the release was made with, once it is made."""
        return self.private / "results" / "release_record" / self.name / "manifest.json"

    @property
    def study(self) -> Path:
        """The configuration file of its study."""
        return self.private / STUDY

    def stored(self) -> dict[str, Any] | None:
        """What an earlier call stored; None if there was none."""
        path = self.private / ABOUT
        return files.read_json(path) if path.exists() else None

    def create(self, scan: Scan, choices: Choices, training: Training, date: str) -> None:
        """Write the private folder.

        Args:
            scan: the owner's images.
            choices: the owner's, complete.
            training: image_size and steps.
            date: of the release.
        """
        os.makedirs(self.private, mode=0o700, exist_ok=True)
        os.chmod(self.private, 0o700)  # whatever the umask
        train = [found for found in scan.images if not found.entry.test]
        _write(self.private / INDEX, _index(scan.images))
        own = [found.entry.file for found in scan.images if found.entry.test]
        held = own or held_out(train)
        _write(self.private / HELD_OUT, csv_text(("file",), ([name] for name in held)))
        left = ([fault.file, fault.reason] for fault in scan.faults)
        _write(self.private / LEFT_OUT, csv_text(("file", "reason"), left))
        study = study_of(self.name, scan, choices, training, date, self.private / INDEX)
        _write(self.study, yaml.safe_dump(study, sort_keys=False, allow_unicode=True))
        (self.private / "results").mkdir(exist_ok=True)
        link = self.private / "results" / "release"
        if not link.is_symlink():  # so that the study writes its release where all releases are
            self.release.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path("..", "..", "..", "release"))
        about = {"choices": choices, "training": training, "folder": str(scan.root), "images": contents(train)}
        files.write_json(self.private / ABOUT, about)


def contents(images: Sequence[Found]) -> dict[str, str]:
    """The SHA-256 of images by file."""
    return {found.entry.file: found.image.sha256 for found in images}


def protected_elsewhere(root: Path, name: str) -> dict[str, str]:
    """The releases by the SHA-256 of the originals that they protect, except one of this name."""
    known: dict[str, str] = {}
    for path in sorted((root / "results" / "private").glob(f"*/{ABOUT}")):
        if path.parent.name != name:
            known |= dict.fromkeys(files.read_json(path)["images"].values(), path.parent.name)
    return known


def slug(text: str) -> str:
    """A name for a release: lower-case words joined by ``-``.

    Raises:
        UserError: nothing is left of the text.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    found = "-".join(re.findall("[a-z0-9]+", plain))
    if not found:
        raise UserError(f"{text}: has no letters for a name; give one with --name, such as --name photos")
    return found


def require_same(project: Project, stored: dict[str, Any], scan: Scan, given: dict[str, Any]) -> None:
    """Make sure that a name is used again only for the same images and choices.

    Args:
        project: of that name.
        stored: by the earlier call.
        scan: the owner's images now.
        given: the owner's choices now; None for those not given.

    Raises:
        UserError: something differs.
    """
    again = f"choose another --name, or remove {project.private} and the release to start over"
    for option, value in given.items():
        if value is not None and value != stored["choices"][option]:
            raise UserError(f"{project.name} was made with --{option} {stored['choices'][option]}; {again}")
    before = stored["images"]
    now = contents([found for found in scan.images if not found.entry.test])
    if now != before:
        added, removed = len(now.keys() - before.keys()), len(before.keys() - now.keys())
        changed = sum(now[name] != before[name] for name in now.keys() & before.keys())
        raise UserError(
            f"{project.name} was made from other images ({added} added, {removed} removed, {changed} changed); {again}"
        )


def complete(given: Choices) -> Choices:
    """The owner's choices with defaults; the seed is random, as whoever knows it can make the noise again."""
    defaults: Choices = {"strength": "medium", "format": "png", "metadata": "strip", "minutes": None, "licence": None}
    defaults["seed"] = secrets.randbelow(2**31)
    return {name: defaults[name] if given.get(name) is None else given[name] for name in CHOICES}


def study_of(name: str, scan: Scan, choices: Choices, training: Training, date: str, index: Path) -> dict[str, Any]:
    """The configuration of the study that makes a release.

    Args:
        name: of the release, its dataset and its method.
        scan: the owner's images.
        choices: the owner's.
        training: image_size and steps.
        date: of the release.
        index: the list of the images.
    """
    rho_u = STRENGTHS[choices["strength"]]
    grey = all(found.image.mode in ("1", "L", "LA") for found in scan.images)
    train = sum(not found.entry.test for found in scan.images)
    return {
        "run": [],
        "datasets": {
            name: {
                "kind": "listed",
                "root": str(scan.root),
                "index": str(index),
                "image_size": training["image_size"],
                "channels": 1 if grey else 3,
                "classes": scan.classes,
                "resize": "squash",
                "augmentation": {"flip": True, "crop_padding": training["image_size"] // 8},
            }
        },
        "methods": {"sem": {"by_dataset": {name: SEM}}},
        "source_model": {
            "by_dataset": {
                name: {
                    "network": "small-cnn",
                    "by_method": {"sem": {"steps": training["steps"], "batch_size": min(128, train)}},
                }
            }
        },
        "noise": {"by_dataset": {name: {"batch_size": min(128, train)}}},
        "releases": {
            name: {
                "dataset": name,
                "method": "sem",
                "rho_u": rho_u,
                "rho_a": rho_u // 2,
                "seed": choices["seed"],
                "format": choices["format"],
                "metadata": choices["metadata"],
                "licence": choices["licence"],
                "date": date,
            }
        },
    }


def _index(images: Sequence[Found]) -> str:
    """The owner's test images for the test set, another of each class that it lacks, all others to train."""
    filled = {found.entry.label for found in images if found.entry.test}
    rows = []
    for found in images:
        entry = found.entry
        split = "test" if entry.test else "train" if entry.label in filled else "both"
        filled.add(entry.label)
        rows.append([entry.file, entry.label, split])
    return csv_text(("file", "label", "split"), rows)


def csv_text(columns: Sequence[str], rows: Iterable[list[str]]) -> str:
    """A table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def write_if_changed(path: Path, text: str) -> None:
    """Write a text, unless it is there already, so that dates tell of changes alone."""
    if path.is_file() and path.read_bytes() == _encoded(text):
        return
    _write(path, text)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _write(path: Path, text: str) -> None:
    with files.atomic(path) as file:
        file.write(_encoded(text))
