"""How far a release changes its originals, measured on some images of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from unlearnable.datasets.native import decode_native
from unlearnable.datasets.readers._decoding import Fit, file_content
from unlearnable.datasets.split import Array
from unlearnable.owners.pairs import Pair

OF_CLASS = 5  # images of each class that are measured
MOST = 200  # images in all
ANY = Fit(1, 3, True)  # for the largest file


@dataclass(frozen=True)
class Changes:
    """The absolute changes of values.

    Attributes:
        counts: number of values by change, 0 to 255 grey levels, ``(256,)``.
        images: number of images measured.
    """

    counts: Array
    images: int

    @property
    def largest(self) -> int:
        """In grey levels."""
        return int(np.flatnonzero(self.counts).max(initial=0))

    @property
    def radius(self) -> int:
        """Below which 99 % of the changed values are: that of a bounded noise, also under JPEG; 0 without changes."""
        changed = self.counts[1:].cumsum()
        return int(np.searchsorted(changed, 0.99 * changed[-1])) + 1 if changed[-1] else 0


def measured(pairs: Sequence[Pair], released: Path, originals: Path) -> Changes:
    """Measure the first images of each class, at the size of the released ones.

    Args:
        pairs: of images.
        released: the folder that released files are named from.
        originals: the folder that originals are named from.

    Raises:
        UserError: an image cannot be decoded.
    """
    chosen: list[Pair] = []
    seen: dict[str, int] = {}
    for pair in pairs:
        label = pair.original.entry.label
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= OF_CLASS and len(chosen) < MOST:
            chosen.append(pair)
    counts = np.zeros(256, np.int64)
    for pair in chosen:
        after, before = both(pair, released, originals)
        counts += np.bincount(np.abs(after.astype(np.int16) - before).reshape(-1), minlength=256)
    return Changes(counts, len(chosen))


def both(pair: Pair, released: Path, originals: Path) -> tuple[Array, Array]:
    """A released image and its original, at its size, both ``(H, W, 3)`` uint8."""
    after, before = (
        decode_native(file_content(path, ANY.require_bytes), str(path)).colour
        for path in (released / pair.released.entry.file, originals / pair.original.entry.file)
    )
    after, before = (np.broadcast_to(each, (*each.shape[:2], 3)) for each in (after, before))
    if after.shape != before.shape:
        size = (after.shape[1], after.shape[0])
        before = np.asarray(Image.fromarray(np.ascontiguousarray(before)).resize(size, Image.Resampling.BILINEAR))
    return after, before
