"""The dataset stage: any source of images becomes shards and a manifest."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from unlearnable import files
from unlearnable.data import readers, shards
from unlearnable.data.images import Split
from unlearnable.fingerprint import digest
from unlearnable.settings.dataset import Dataset

log = logging.getLogger(__name__)


def prepare(config: dict[str, Any], root: Path, train: Path, test: Path, manifest: Path, downloads: Path) -> None:
    """Read, check and store a dataset.

    Args:
        config: the dataset's description, as ``Study.dataset_config`` gives it.
        root: the folder that a relative root in it starts at.
        train: folder to write the training split into.
        test: folder to write the test split into.
        manifest: JSON file to write: hashes, rows, shape, classes, provenance.
        downloads: where to keep what must be downloaded.
    """
    dataset: Dataset = TypeAdapter(Dataset).validate_python(config)
    splits = readers.read(dataset, root, downloads)
    content: dict[str, Any] = {"classes": dataset.classes, "provenance": splits[2]}
    for name, folder, split in (("train", train, splits[0]), ("test", test, splits[1])):
        content[name] = shards.write(folder, split, dataset.rows_per_shard)
        log.info("%s: %d images of %s", name, len(split.labels), "x".join(map(str, split.images.shape[1:])))
    files.write_json(manifest, content)


def load(folder: str | Path, split: Literal["train", "test"]) -> Split:
    """Read one split of the dataset stored in ``folder``."""
    manifest = files.read_json(Path(folder, "manifest.json"))
    return shards.read(Path(folder, split), manifest[split], manifest["classes"])


def identity(folder: str | Path) -> str:
    """A hash of the training images and labels: what a noise was made for."""
    return digest(files.read_json(Path(folder, "manifest.json"))["train"]["files"])
