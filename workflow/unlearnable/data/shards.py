"""A dataset on disk as the pipeline keeps it: uint8 NHWC shards, labels, and a manifest of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unlearnable import files
from unlearnable.data.images import Array, Split


def write(folder: Path, split: Split, rows_per_shard: int) -> dict[str, Any]:
    """Write a split into ``folder`` and return its part of the manifest."""
    hashes = {}
    for number, start in enumerate(range(0, len(split.labels), rows_per_shard)):
        name = f"images-{number:05d}.npy"
        files.write_array(folder / name, split.images[start : start + rows_per_shard])
        hashes[name] = files.sha256(folder / name)
    files.write_array(folder / "labels.npy", split.labels)
    hashes["labels.npy"] = files.sha256(folder / "labels.npy")
    return {"rows": len(split.labels), "shape": list(split.images.shape[1:]), "files": hashes}


def read(folder: Path, manifest: dict[str, Any], classes: list[str]) -> Split:
    """Read the split that ``write`` wrote.

    Args:
        folder: where the files are.
        manifest: the split's part of the manifest.
        classes: the class names, by label.

    Raises:
        UserError: a file is missing or is not the one that the manifest describes.
    """
    files.check_hashes(folder, manifest["files"])
    shards: list[Array] = [files.read_array(folder / name) for name in manifest["files"] if name != "labels.npy"]
    return Split(np.concatenate(shards), files.read_array(folder / "labels.npy"), classes)
