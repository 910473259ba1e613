"""The number of images in a dataset: from its manifest, or from its reader."""

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
        manifest: of the dataset stage; None if it is missing or out of date.
    """
    if manifest is None:
        return size_hint(dataset, root)
    stored = files.read_json(manifest)
    return Size(stored["train"]["rows"], stored["test"]["rows"], "as stored")
