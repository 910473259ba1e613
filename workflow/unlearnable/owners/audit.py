"""The private folder of an audit: lists of images, and the study that trains on a release and on its originals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from unlearnable import files
from unlearnable.owners.changes import Changes, measured
from unlearnable.owners.pairs import ORIGINALS, RELEASED, Audited, Pair
from unlearnable.owners.project import LEFT_OUT, STUDY, csv_text, write_if_changed
from unlearnable.owners.scan import Found, Scan

SIZES = (32, 48)  # of the images: that for which ``protect`` makes noise by default, and another
NETWORK, OTHER_NETWORK = "small-cnn", "resnet20"
CHANGED = ("jpeg10", "rescale")  # counter-measures, which change the training images
STEPS = 300
SEEDS = 3  # networks trained in each way, unless told
BATCH = 128  # images
COLUMNS = ("file", "label", "split", "sha256")
FILES, UNPACKED, REPORT = "files", "unpacked", "report.html"


@dataclass(frozen=True)
class Audit:
    """What belongs to one audit.

    Attributes:
        root: the folder that holds ``results``.
        name: of the release.
    """

    root: Path
    name: str

    @property
    def private(self) -> Path:
        """Its folder, which is never handed out."""
        return self.root / "results" / "private" / self.name / "audit"

    @property
    def unpacked(self) -> Path:
        """The folder for images from Parquet files."""
        return self.private / UNPACKED

    @property
    def study(self) -> Path:
        """The configuration file of its study."""
        return self.private / STUDY

    @property
    def report(self) -> Path:
        """The page that shows what was found."""
        return self.private / REPORT

    @property
    def tables(self) -> list[Path]:
        """The audit-tables, one for each size of the images, as CSV; Markdown and LaTeX are beside them."""
        return [self.private / "results" / "tables" / experiment(size) / "audit.csv" for size in SIZES]

    def open(self) -> None:
        """Make the folder, for its owner alone."""
        os.makedirs(self.private, mode=0o700, exist_ok=True)
        for folder in (self.private.parent, self.private):
            os.chmod(folder, 0o700)  # whatever the umask

    def create(self, images: Audited, originals: Scan, release: Scan, seeds: int) -> Changes:
        """Write the lists and the study. What is the same as before is left as it is, so that an audit continues.

        Args:
            images: what it trains and tests on.
            originals: the owner's folder.
            release: the release.
            seeds: number of networks trained in each way.

        Returns:
            How far the release changes its originals.

        Raises:
            UserError: an image cannot be decoded.
        """
        self.open()
        changes = measured(images.train, release.root, originals.root)
        (self.private / FILES).mkdir(exist_ok=True)
        for name, folder in ((ORIGINALS, originals.root), (RELEASED, release.root)):
            _link(self.private / FILES / name, folder)
        for name in (ORIGINALS, RELEASED):
            write_if_changed(self.index(name), csv_text(COLUMNS, _rows(images, name)))
        left = ([fault.file, fault.reason] for fault in images.left_out)
        write_if_changed(self.private / LEFT_OUT, csv_text(("file", "reason"), left))
        study = self.study_of(images, radius=max(1, round(changes.radius / 2)), seeds=seeds)
        write_if_changed(self.study, yaml.safe_dump(study, sort_keys=False, allow_unicode=True))
        return changes

    def index(self, name: str) -> Path:
        """The list of the images that are trained on as originals or as released, and of those tested on."""
        return self.private / f"{name}.csv"

    def study_of(self, images: Audited, radius: int, seeds: int) -> dict[str, Any]:
        """The configuration of the study.

        Args:
            images: what it trains and tests on.
            radius: of adversarial training, in grey levels: half of the noise's.
            seeds: number of networks trained in each way.
        """
        shown = [each for pair in images.train for each in (pair.original, pair.released)] + images.test
        grey = all(found.image.mode in ("1", "L", "LA") for found in shown)
        datasets = {
            dataset(name, size): {
                "kind": "listed",
                "root": str(self.private / FILES),
                "index": str(self.index(name)),
                "sha256": files.sha256(self.index(name)),
                "image_size": size,
                "channels": 1 if grey else 3,
                "classes": images.classes,
                "resize": "squash",
                "augmentation": {"flip": True, "crop_padding": size // 8},
            }
            for size in SIZES
            for name in (ORIGINALS, RELEASED)
        }
        budget = {
            "steps": STEPS,
            "batch_size": min(BATCH, len(images.train)),
            "k_a": 3,
            "alpha_a": 0.5,
            "evaluate_every": STEPS,
            "robust_steps": 10,
            "robust_images": 200,
        }
        ways = [
            {"networks": [NETWORK], "countermeasures": ["none", *CHANGED], "radii": [0]},
            {"networks": [NETWORK], "radii": [radius]},
            {"networks": [OTHER_NETWORK], "radii": [0]},
        ]
        first, *others = SIZES
        return {
            "run": [experiment(size) for size in SIZES],
            "datasets": datasets,
            "victim": {"by_dataset": dict.fromkeys(datasets, budget)},
            "experiments": {
                experiment(first): _experiment(first, ways, seeds),
                **{
                    experiment(size): _experiment(size, [{"networks": [NETWORK], "radii": [0]}], seeds)
                    for size in others
                },
            },
        }


def about(images: Audited) -> str:
    """What is trained, in words."""
    return (
        f"{STEPS} steps of {NETWORK} and {OTHER_NETWORK} at {' and '.join(map(str, SIZES))} pixels on "
        f"{len(images.train)} images of {len(images.classes)} classes, tested on {len(images.test)} originals"
    )


def experiment(size: int) -> str:
    """The experiment with images of a size."""
    return f"audit-{size}"


def dataset(name: str, size: int) -> str:
    """The dataset of originals or of released images of a size."""
    return f"{name}-{size}"


def _experiment(size: int, ways: list[dict[str, Any]], seeds: int) -> dict[str, Any]:
    return {
        "datasets": [dataset(ORIGINALS, size), dataset(RELEASED, size)],
        "noises": [{"method": "clean"}],
        "victims": ways,
        "seeds": list(range(seeds)),
        "products": ["audit-table"],
    }


def _rows(images: Audited, name: str) -> Iterator[list[str]]:
    """The rows of an index: the training images, as originals or as released, and the originals to test on."""
    for pair in images.train:
        found = _of(pair, name)
        yield [f"{name}/{found.entry.file}", pair.original.entry.label, "train", found.image.sha256]
    for found in images.test:
        yield [f"{ORIGINALS}/{found.entry.file}", found.entry.label, "test", found.image.sha256]


def _of(pair: Pair, name: str) -> Found:
    return pair.original if name == ORIGINALS else pair.released


def _link(link: Path, folder: Path) -> None:
    """Make a link to a folder, in place of one to another."""
    if link.is_symlink() and link.readlink() != folder:
        link.unlink()
    if not link.is_symlink():
        link.symlink_to(folder)
