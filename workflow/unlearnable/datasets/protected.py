"""Protected datasets: which images are protected, and images with their noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unlearnable import arrays, files
from unlearnable.datasets import shards
from unlearnable.datasets.split import Array, Images, Split, stratified_order
from unlearnable.errors import UserError
from unlearnable.randomness import numpy_generator


def protected_rows(labels: Array, percent: int, seed: int) -> Array:
    """Which images are protected, ``(N,)`` bool: class-balanced, and nested as ``percent`` grows."""
    order = stratified_order(labels, numpy_generator(seed, "protected"))
    protected = np.zeros(len(labels), bool)
    protected[order[: round(len(labels) * percent / 100)]] = True
    return protected


def apply_noise(images: Array, noise: Array, protected: Array) -> Array:
    """``clip(x + d, 0, 255)`` for the protected images, x for the others.

    Args:
        images: ``(N, H, W, C)`` uint8.
        noise: ``(N, H, W, C)`` signed whole grey levels.
        protected: ``(N,)`` bool.
    """
    d = np.where(protected[:, None, None, None], noise, 0)
    return np.clip(images.astype(np.int16) + d, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Noisy:
    """Images with noise in some of them; the noise is added when images are read.

    Attributes:
        images: ``(N, H, W, C)`` uint8.
        noise: ``(N, H, W, C)`` signed whole grey levels; may be a memory map.
        protected: ``(N,)`` bool, which images carry noise.
    """

    images: Images
    noise: Array
    protected: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, H, W, C)``."""
        return self.images.shape

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    def __getitem__(self, rows: slice | Array) -> Array:
        """These images, with noise in the protected ones."""
        return apply_noise(self.images[rows], self.noise[rows], self.protected[rows])


def load_protected(folder: str | Path) -> Split:
    """Read a victim's training images from the folder of a protected dataset."""
    return shards.read(Path(folder, "manifest.json"), "shards")


def read_noise(folder: Path, source: Path) -> tuple[dict[str, Any], Array]:
    """The manifest of a merged noise, and the noise, mapped into memory, after checking that it is the dataset's.

    Raises:
        UserError: it was made for another dataset, or is damaged.
    """
    manifest, path = folder / "manifest.json", folder / "noise.npy"
    made = files.read_json(manifest)
    if made["dataset"] != shards.identity(source):
        raise UserError(
            f"{folder}: this noise was made for another dataset than {source} (hash mismatch); "
            "run the noise stage again"
        )
    files.check_files(manifest, path)
    return made, arrays.map_array(path)
