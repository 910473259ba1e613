"""How many images a dataset has: from its manifest, or from what its reader can tell."""

from __future__ import annotations

from pathlib import Path

from unlearnable import files
from unlearnable.datasets.settings import Dataset
from unlearnable.datasets.size import Size, size_hint


def size_of(dataset: Dataset, root: Path, manifest: Path | None) -> Size:
    """Count the images of a dataset.

    Args:
        dataset: its description.
        root: base folder of relative paths in it.
        manifest: what the dataset stage wrote; None where that is missing or out of date.
    """
    if manifest is None:
        return size_hint(dataset, root)
    stored = files.read_json(manifest)
    return Size(stored["train"]["rows"], stored["test"]["rows"], "as stored")
