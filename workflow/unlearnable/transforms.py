"""The victim's augmentation as batched gathers, with the exact adjoint of each draw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unlearnable.draws import Draws, by_rows
from unlearnable.settings.dataset import Augmentation


@dataclass(frozen=True)
class Transform:
    """One draw of T for a batch: flip left-right, then crop at an offset from the zero-padded image.

    Attributes:
        flipped: ``(B,)`` bool, or None when nothing is flipped.
        rows, columns: ``(B,)`` offsets of the crop in 0..2*padding, or None when nothing is cropped.
        padding: width of the zero (black) border.
    """

    flipped: Tensor | None
    rows: Tensor | None
    columns: Tensor | None
    padding: int

    def __call__(self, images: Tensor) -> Tensor:
        """Transform ``images`` of shape ``(B, C, H, W)``."""
        if self.flipped is not None:
            images = _flip(images, self.flipped)
        if self.rows is not None and self.columns is not None:
            images = _crop(images, self.rows, self.columns, self.padding)
        return images

    def pull_back(self, gradients: Tensor) -> Tensor:
        """The adjoint: carry gradients of shape ``(B, C, H, W)`` back to the frame of the untransformed image.

        A crop's adjoint is the crop at the opposite offset; a flip is its own adjoint.
        """
        if self.rows is not None and self.columns is not None:
            opposite = 2 * self.padding
            gradients = _crop(gradients, opposite - self.rows, opposite - self.columns, self.padding)
        if self.flipped is not None:
            gradients = _flip(gradients, self.flipped)
        return gradients


def draw(augmentation: Augmentation, batch: int, generator: Draws) -> Transform:
    """Draw a fresh transform for each of ``batch`` images (Fu et al. 2022: flip with p 0.5, then random crop)."""
    device = generator.device
    flipped = rows = columns = None
    if augmentation.flip:
        flipped = by_rows(batch, generator, lambda rows, g: torch.rand(rows, generator=g, device=device)) < 0.5
    if augmentation.crop_padding:
        places = 2 * augmentation.crop_padding + 1
        rows, columns = by_rows(
            batch, generator, lambda rows, g: torch.randint(places, (2, rows), generator=g, device=device).T
        ).unbind(1)
    return Transform(flipped, rows, columns, augmentation.crop_padding)


def join(transforms: list[Transform]) -> Transform:
    """The transform of a batch made of several batches, each with its own draw of the same augmentation."""

    def side_by_side(parts: list[Tensor | None]) -> Tensor | None:
        drawn = [part for part in parts if part is not None]
        return torch.cat(drawn) if drawn else None

    return Transform(
        side_by_side([t.flipped for t in transforms]),
        side_by_side([t.rows for t in transforms]),
        side_by_side([t.columns for t in transforms]),
        transforms[0].padding,
    )


def _flip(images: Tensor, flipped: Tensor) -> Tensor:
    return torch.where(flipped[:, None, None, None], images.flip(3), images)


def _crop(images: Tensor, rows: Tensor, columns: Tensor, padding: int) -> Tensor:
    """``out[b, :, i, j] = images[b, :, i + rows[b] - padding, j + columns[b] - padding]``, zero outside."""
    _, channels, height, width = images.shape
    down = torch.arange(height, device=images.device) + rows[:, None] - padding
    right = torch.arange(width, device=images.device) + columns[:, None] - padding
    inside = ((down >= 0) & (down < height))[:, :, None] & ((right >= 0) & (right < width))[:, None, :]
    index = down.clamp(0, height - 1)[:, :, None] * width + right.clamp(0, width - 1)[:, None, :]
    index = index.flatten(1)[:, None].expand(-1, channels, -1)
    cropped = images.flatten(2).gather(2, index).view(images.shape)
    return cropped * inside[:, None]
