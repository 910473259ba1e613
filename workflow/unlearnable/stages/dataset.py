"""The dataset stage: from any source of images to shards and a manifest."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable import files
from unlearnable.datasets import read as readers
from unlearnable.datasets import shards
from unlearnable.datasets import stream as streams
from unlearnable.datasets.settings import Dataset
from unlearnable.datasets.split import Array
from unlearnable.datasets.stream import Stream
from unlearnable.recipe import BY_HAND, Made

log = logging.getLogger(__name__)
DIGEST_BYTES = 16  # of an image's pixels; collisions do not occur in practice
PAIRS = 10  # of identical images named in the manifest


def prepare(
    dataset: Dataset,
    root: Path,
    train: Path,
    test: Path,
    manifest: Path,
    downloads: Path,
    *,
    made: Made = BY_HAND,
) -> None:
    """Read, check and store a dataset, piece by piece.

    Args:
        dataset: its description.
        root: base folder of a relative root in it.
        train: folder to write the training split into.
        test: folder to write the test split into.
        manifest: JSON file to write: hashes, rows, shape, classes, provenance, images that are in both splits.
        downloads: folder for downloads.
        made: what the dataset is made with.

    Raises:
        UserError: a file is missing, damaged, or does not match the description.
    """
    of_train, of_test, provenance = readers.read(dataset, root, downloads)
    content: dict[str, Any] = {"classes": dataset.classes, "provenance": provenance, files.HASHES: {}}
    shape = (dataset.image_size, dataset.image_size, dataset.channels)
    digests = []
    for name, folder, stream in (("train", train, of_train), ("test", test, of_test)):
        digests.append(np.zeros(len(stream.labels), f"S{DIGEST_BYTES}"))
        checked = streams.checked(stream, shape, dataset.classes)
        (rows, *_), hashes = shards.write(folder, _recording(checked, digests[-1]), dataset.rows_per_shard)
        content[name] = {"rows": rows, "shape": shape}
        content[files.HASHES] |= hashes
        log.info("%s: %d images of %s", name, len(stream.labels), "x".join(map(str, shape)))
    content["duplicates"] = duplicates(*digests)
    if content["duplicates"]["count"]:
        log.warning(
            "%d of the %d test images are also in the training split, pixel by pixel; the first: training image "
            "%d is test image %d. Accuracy on them says nothing about new images",
            content["duplicates"]["count"],
            len(of_test.labels),
            *content["duplicates"]["pairs"][0],
        )
    files.write_json(manifest, content | dict(made))


def _recording(stream: Stream, digests: Array) -> Stream:
    """The same stream, which stores a digest of every image's pixels in ``digests`` while it is read."""

    def chunks() -> Iterator[Array]:
        done = 0
        for chunk in stream.chunks():
            for row, pixels in enumerate(np.ascontiguousarray(chunk), start=done):
                digests[row] = blake2b(pixels.ravel().data, digest_size=DIGEST_BYTES).digest()
            done += len(chunk)
            yield chunk

    return Stream(stream.where, stream.labels, chunks)


def duplicates(train: Array, test: Array) -> dict[str, Any]:
    """The test images that are also in the training split.

    Args:
        train: ``(N,)``, a digest of every training image.
        test: ``(M,)``, a digest of every test image.

    Returns:
        Their ``count``, and the first ``pairs`` of rows (first such training image, test image).
    """
    known, first = np.unique(train, return_index=True)
    place = np.searchsorted(known, test).clip(max=len(known) - 1)
    repeated = np.flatnonzero(known[place] == test)
    pairs = [[int(first[place[row]]), int(row)] for row in repeated[:PAIRS]]
    return {"count": len(repeated), "pairs": pairs}
