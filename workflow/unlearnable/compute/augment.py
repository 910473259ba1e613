"""The victim's augmentation as operations on whole batches, with the exact adjoint of each draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearnable.compute.draws import Draws, by_rows
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.errors import UserError

AREAS = (0.08, 1.0)  # of a resized crop, as shares of the image's; these and the attempts are torchvision's defaults
ASPECTS = (3 / 4, 4 / 3)  # width over height
ATTEMPTS = 10


@dataclass(frozen=True)
class Resizing:
    """A box of each image, resized to a square by bilinear interpolation without antialiasing.

    Interpolation is linear in the image, so it is a matrix for the rows and one for the columns, and its adjoint are
    the two transposed. It equals ``interpolate(mode="bilinear", align_corners=False)`` of the box.

    Attributes:
        boxes: ``(B, 4)`` int64: top, left, height, width.
        shape: ``(H, W)`` of the untransformed images.
        size: height and width of the result.
    """

    boxes: Tensor
    shape: tuple[int, int]
    size: int

    def __call__(self, images: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to ``(B, C, size, size)``."""
        rows, columns = self._weights(images.dtype)
        return rows @ images @ columns.mT

    def pull_back(self, gradients: Tensor) -> Tensor:
        """The adjoint: map ``(B, C, size, size)`` to ``(B, C, H, W)``."""
        rows, columns = self._weights(gradients.dtype)
        return rows.mT @ gradients @ columns

    def _weights(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The matrices of the rows ``(B, 1, size, H)`` and of the columns ``(B, 1, size, W)``."""
        top, left, height, width = self.boxes.unbind(1)
        return self._hats(top, height, self.shape[0], dtype), self._hats(left, width, self.shape[1], dtype)

    def _hats(self, first: Tensor, length: Tensor, full: int, dtype: torch.dtype) -> Tensor:
        """A point between two pixels weighs each of them by one minus its distance to it, and all others by 0."""
        centres = torch.arange(self.size, device=first.device, dtype=torch.float64) + 0.5
        places = centres * length[:, None] / self.size - 0.5
        places = torch.minimum(places.clamp(min=0), length[:, None] - 1) + first[:, None]
        pixels = torch.arange(full, device=first.device)
        return (1 - (places[:, :, None] - pixels).abs()).clamp(min=0).to(dtype)[:, None]


@dataclass(frozen=True)
class Transform:
    """One draw of T for a batch: a resized crop and a flip left-right, or a flip and a crop of the zero-padded image.

    Attributes:
        flipped: ``(B,)`` bool, or None when nothing is flipped.
        rows, columns: ``(B,)`` offsets of the crop in 0..2*padding, or None when no padded image is cropped.
        padding: width of the zero (black) border.
        resizing: the resized crop, or None when nothing is resized.
    """

    flipped: Tensor | None = None
    rows: Tensor | None = None
    columns: Tensor | None = None
    padding: int = 0
    resizing: Resizing | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Transform ``images`` of shape ``(B, C, H, W)``."""
        if self.resizing is not None:
            images = self.resizing(images)
        if self.flipped is not None:
            images = _flip(images, self.flipped)
        if self.rows is not None and self.columns is not None:
            images = _crop(images, self.rows, self.columns, self.padding)
        return images

    def pull_back(self, gradients: Tensor) -> Tensor:
        """The adjoint: map gradients by transformed images back to the frame of the untransformed images.

        A crop's adjoint is the crop at the opposite offset; a flip is its own adjoint.
        """
        if self.rows is not None and self.columns is not None:
            opposite = 2 * self.padding
            gradients = _crop(gradients, opposite - self.rows, opposite - self.columns, self.padding)
        if self.flipped is not None:
            gradients = _flip(gradients, self.flipped)
        if self.resizing is not None:
            gradients = self.resizing.pull_back(gradients)
        return gradients


def draw(augmentation: Augmentation, images: Tensor, generator: Draws) -> Transform:
    """Draw a fresh transform for each of ``images``, ``(B, C, H, W)``.

    For small images a flip with probability 1/2, then a random crop (Fu et al. 2022); for large ones torchvision's
    ``RandomResizedCrop`` and a flip.
    """
    device, batch = generator.device, len(images)
    flipped = rows = columns = resizing = None
    if augmentation.flip:
        flipped = by_rows(batch, generator, lambda rows, g: torch.rand(rows, generator=g, device=device)) < 0.5
    if augmentation.crop_padding:
        places = 2 * augmentation.crop_padding + 1
        rows, columns = by_rows(
            batch, generator, lambda rows, g: torch.randint(places, (2, rows), generator=g, device=device).T
        ).unbind(1)
    if augmentation.resized_crop is not None:
        shape = images.shape[2], images.shape[3]
        resizing = Resizing(_boxes(shape, batch, generator), shape, augmentation.resized_crop)
    return Transform(flipped, rows, columns, augmentation.crop_padding, resizing)


def concatenated(transforms: list[Transform]) -> Transform:
    """The transform of a batch made of several batches, each with its own draw of the same augmentation."""

    def side_by_side(parts: list[Tensor | None]) -> Tensor | None:
        drawn = [part for part in parts if part is not None]
        return torch.cat(drawn) if drawn else None

    first = transforms[0]
    boxes = side_by_side([t.resizing.boxes if t.resizing is not None else None for t in transforms])
    return Transform(
        side_by_side([t.flipped for t in transforms]),
        side_by_side([t.rows for t in transforms]),
        side_by_side([t.columns for t in transforms]),
        first.padding,
        Resizing(boxes, first.resizing.shape, first.resizing.size) if boxes is not None and first.resizing else None,
    )


def transformed(augmentation: Augmentation, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an image, ``(C, H, W)``, after the augmentation.

    Raises:
        UserError: the images are smaller than their crops.
    """
    size = augmentation.resized_crop
    if size is None:
        return shape
    if size > min(shape[1:]):
        raise UserError(
            f"augmentation: resized_crop is {size}, but images are {shape[1]}x{shape[2]} pixels; lower resized_crop or "
            "raise image_size"
        )
    return shape[0], size, size


def evaluation(augmentation: Augmentation) -> Callable[[Tensor], Tensor]:
    """The transform of test images ``(B, C, H, W)``: none, or the central crop at the size used in training."""
    size = augmentation.resized_crop

    def central(images: Tensor) -> Tensor:
        if size is None:
            return images
        top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
        return images[:, :, top : top + size, left : left + size]

    return central


def _boxes(shape: tuple[int, int], batch: int, generator: Draws) -> Tensor:
    """Boxes drawn as in torchvision: the first of ten attempts that fits, otherwise the largest at the centre.

    Returns:
        ``(B, 4)`` int64: top, left, height, width.
    """
    device = generator.device

    def uniforms(rows: int, g: torch.Generator) -> Tensor:
        return torch.rand(rows, 2 * ATTEMPTS + 2, generator=g, device=device, dtype=torch.float64)

    drawn = by_rows(batch, generator, uniforms)
    low, high = math.log(ASPECTS[0]), math.log(ASPECTS[1])
    areas = shape[0] * shape[1] * (AREAS[0] + (AREAS[1] - AREAS[0]) * drawn[:, :ATTEMPTS])
    aspects = (low + (high - low) * drawn[:, ATTEMPTS:-2]).exp()
    heights, widths = (areas / aspects).sqrt().round().long(), (areas * aspects).sqrt().round().long()
    fits = (heights > 0) & (heights <= shape[0]) & (widths > 0) & (widths <= shape[1])
    first = fits.int().argmax(1, keepdim=True)  # the first of several
    sizes = torch.cat([heights.gather(1, first), widths.gather(1, first)], 1)
    room = torch.tensor(shape, device=device) - sizes
    corners = (drawn[:, -2:] * (room + 1)).long()
    found = torch.cat([corners, sizes], 1)
    return torch.where(fits.any(1, keepdim=True), found, torch.tensor(_central_box(shape), device=device))


def _central_box(shape: tuple[int, int]) -> tuple[int, int, int, int]:
    height, width = shape
    if width / height < ASPECTS[0]:
        height = round(width / ASPECTS[0])
    elif width / height > ASPECTS[1]:
        width = round(height * ASPECTS[1])
    return (shape[0] - height) // 2, (shape[1] - width) // 2, height, width


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
