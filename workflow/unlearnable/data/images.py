"""Images and labels in memory, and the checks every source of images must pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unlearnable.errors import UserError

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Split:
    """One half of a dataset.

    Attributes:
        images: ``(N, H, W, C)`` uint8.
        labels: ``(N,)`` int64.
        classes: the class names, by label.
    """

    images: Array
    labels: Array
    classes: list[str]

    def on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """The images as ``(N, C, H, W)`` uint8 (channels last in memory) and the labels, on ``device``."""
        import torch  # here, because stages without tensors start faster without it

        images = torch.from_numpy(np.ascontiguousarray(self.images)).permute(0, 3, 1, 2)
        return images.to(device), torch.from_numpy(self.labels).to(device)


def check(split: Split, where: str, image_size: int, channels: int) -> None:
    """Make sure that a split is what its description says.

    Raises:
        UserError: wrong size or channels, a label outside the classes, or a class without images.
    """
    expected = (image_size, image_size, channels)
    if split.images.shape[1:] != expected:
        raise UserError(f"{where}: images are (height, width, channels) {split.images.shape[1:]}, not {expected}")
    classes = len(split.classes)
    outside = np.flatnonzero((split.labels < 0) | (split.labels >= classes))
    if outside.size:
        row = int(outside[0])
        raise UserError(
            f"{where}, row {row}: label {int(split.labels[row])} is outside 0..{classes - 1} ({classes} classes)"
        )
    counts = np.bincount(split.labels, minlength=classes)
    if (counts == 0).any():
        empty = int(np.flatnonzero(counts == 0)[0])
        raise UserError(f"{where}: class {empty} ({split.classes[empty]!r}) has no images")


def stratified_order(labels: Array, generator: np.random.Generator) -> Array:
    """A random order of the rows of which every prefix is as class-balanced as the whole.

    So prefixes are nested, and of classes of equal size a prefix holds the same number, to within one image.
    """
    position = np.empty(len(labels))
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        position[rows] = (np.arange(len(rows)) + generator.random()) / len(rows)
    return np.argsort(position, kind="stable")
