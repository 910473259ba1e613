"""The one-pixel shortcut, OPS (Wu et al., ICLR 2023)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Array, Images, Split
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.ops.settings import Ops
from unlearnable.randomness import numpy_generator

CHUNK = 2**24  # bytes of images that are read at once


@dataclass(frozen=True)
class Shortcuts:
    """Each class's pixel and colour.

    Attributes:
        rows: ``(classes,)`` int64, the pixel's row.
        columns: ``(classes,)`` int64, the pixel's column.
        colours: ``(classes, C)`` float32, 0 or 255.
    """

    rows: Tensor
    columns: Tensor
    colours: Tensor


def _moments(images: Images, rows: Array) -> tuple[Array, Array]:
    """Exact sums over images: of the values, ``(H, W, C)``, and of their products, ``(H, W, C, C)``; int64."""
    height, width, channels = images.shape[1:]
    sums = np.zeros((height, width, channels), np.int64)
    products = np.zeros((height, width, channels, channels), np.int64)
    step = max(1, min(CHUNK // sums.size, 2**15))  # 2^15 products of two bytes fit 31 bits
    for start in range(0, len(rows), step):
        chunk = images[rows[start : start + step]]
        sums += chunk.sum(axis=0, dtype=np.int64)
        for one in range(channels):
            wide = chunk[..., one].astype(np.int32)
            for other in range(one + 1):
                product = (wide * chunk[..., other]).sum(axis=0, dtype=np.int64)
                products[..., one, other] = products[..., other, one] = products[..., one, other] + product
    return sums, products


def _statistics(images: Images, rows: Array, colours: Array, score: str) -> tuple[Array, Array]:
    """Mean and spread of the distance from images to each colour at each pixel, in grey levels.

    The distance is summed over the channels. A colour is 0 or 1 in each channel, so every term is the value or 255
    minus the value, and the first two moments of the values give those of all distances.

    Args:
        images: of the training set.
        rows: of the images to use, at least one.
        colours: ``(colours, C)`` of 0 and 1.
        score: ``mean/variance`` for the variance of the distance as the spread, ``mean/std`` for the standard deviation
            of its terms, over images and channels.

    Returns:
        Two arrays ``(H, W, colours)``, float64; a spread is exactly 0 where all its terms are equal.
    """
    count = len(rows)
    sums, products = _moments(images, rows)
    signs, white = 1 - 2 * colours, 255 * colours
    signed = sums @ signs.T
    mean = signed / count + 255.0 * colours.sum(axis=1)
    if score == "mean/variance":
        variance = count * np.einsum("hwcd,kc,kd->hwk", products, signs, signs) - signed**2
        return mean, variance / count**2
    terms = count * colours.shape[1]
    total = signed + count * white.sum(axis=1)
    squares = np.einsum("hwcc->hw", products)[..., None] + 2 * sums @ (signs * white).T + count * (white**2).sum(axis=1)
    return mean, np.sqrt(terms * squares - total**2) / terms


def basis(
    network: FrozenNetwork | None, train: Split, problem: Problem[Ops], seed: int, device: torch.device
) -> Shortcuts:
    """For each class, the pixel and the colour in {0, 1}^C that are farthest from all its images (equations 1 and 2).

    They maximise mean(D) / Var(D), where D is the distance from an image to the colour at the pixel, summed over the
    channels, or what else ``score`` names. If the spread is zero, the quotient is infinite; ties are broken by the
    largest mean, then by the distance from the border, which a victim's crops cut off, then by the seed. No two classes
    get the same pixel and colour: the later class takes its next best.

    The images are read class by class in chunks, never all at once.
    """
    height, width, channels = train.images.shape[1:]
    colours = np.array(list(itertools.product((0, 1), repeat=channels)))
    row, column, _ = np.indices((height, width, len(colours)))
    inside = np.minimum(np.minimum(row, height - 1 - row), np.minimum(column, width - 1 - column))
    chosen: list[int] = []
    for label in range(problem.classes):
        members = np.flatnonzero(train.labels == label)
        mean, spread = _statistics(train.images, members, colours, problem.settings.score)
        quotient = np.divide(mean, spread, out=np.full_like(mean, np.inf), where=spread > 0).ravel()
        quotient[chosen] = -1
        best = np.flatnonzero(quotient == quotient.max())
        for second in (mean, inside):
            best = best[second.flat[best] == second.flat[best].max()]
        chosen.append(int(numpy_generator(seed, "ops", label).choice(best)))
    rows, columns, which = np.unravel_index(chosen, (height, width, len(colours)))
    return Shortcuts(
        torch.from_numpy(rows).to(device),
        torch.from_numpy(columns).to(device),
        torch.from_numpy(255 * colours[which]).float().to(device),
    )


def noise(shortcuts: Shortcuts, batch: Batch[Ops]) -> Tensor:
    """The change that sets the pixel of each image's class to its colour (equation 3); zero elsewhere.

    Args:
        shortcuts: from ``basis``.
        batch: the images; nothing is drawn.

    Returns:
        ``(B, C, H, W)``, whole numbers.
    """
    images, labels = batch.images, batch.labels
    d = torch.zeros_like(images)
    every = torch.arange(len(images), device=images.device)
    rows, columns = shortcuts.rows[labels], shortcuts.columns[labels]
    d[every, :, rows, columns] = shortcuts.colours[labels].to(images.dtype) - images[every, :, rows, columns]
    return d
