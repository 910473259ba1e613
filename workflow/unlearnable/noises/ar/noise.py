"""Autoregressive perturbations, AR (Sandoval-Segura et al., NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from unlearnable.compute.draws import by_rows
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.ar.settings import Ar
from unlearnable.noises.method import Batch, Problem
from unlearnable.randomness import numpy_generator

# Offsets to earlier values in reading order; the ninth is the value itself.
TAPS = [(row, column) for row in (2, 1, 0) for column in (2, 1, 0)][:-1]


CROP = 4  # rows and columns cut off a field, where it starts as white noise
BLOCK = 64  # processes drawn and tried at once
STARTS = 2  # fields on which a process is tried
STEADY = 0.5  # smallest root mean square of a quarter of a field, as a share of the whole field's
CANDIDATES = 16  # steady processes from which a class takes one
APART = 0.1  # smallest share of another class's field that a class's filter must leave
ROUNDS = 64  # of candidates for one class, and of draws without a steady one


def _edge(height: int, width: int) -> int:
    """The number of values that start a field of this size: its first two rows and columns."""
    return 2 * (width + CROP) + 2 * (height + CROP - 2)


def grow(coefficients: Tensor, starts: Tensor, height: int, width: int) -> Tensor:
    """Fields of autoregressive processes: each value is a weighted sum of the eight before it.

    The eight are the others in the 3x3 window with the value at the bottom right. All of them are on earlier
    anti-diagonals, so a whole anti-diagonal of a whole batch is computed at once.

    Args:
        coefficients: ``(B, C or 1, 8)``, of the window's values in reading order.
        starts: ``(B, C, n)``, the first two rows and then the rest of the first two columns of the uncropped field.
        height: rows of the result.
        width: columns of the result.

    Returns:
        ``(B, C, H, W)``, without the ``CROP`` first rows and columns.
    """
    batch, channels, _ = starts.shape
    height, width = height + CROP, width + CROP
    rows = torch.arange(height, device=starts.device)[:, None]
    columns = torch.arange(width, device=starts.device)
    # Skewed: diagonals[row + column, :, :, row] is the field's value at (row, column).
    diagonals = starts.new_zeros(height + width - 1, batch, channels, height)
    top, left = starts[..., : 2 * width], starts[..., 2 * width :]
    diagonals[rows[:2] + columns, :, :, rows[:2]] = top.reshape(batch, channels, 2, width).permute(2, 3, 0, 1)
    diagonals[rows[2:] + columns[:2], :, :, rows[2:]] = left.reshape(batch, channels, height - 2, 2).permute(2, 3, 0, 1)
    for diagonal in range(4, height + width - 1):
        first, last = max(2, diagonal - width + 1), min(height - 1, diagonal - 2)
        now = diagonals[diagonal, :, :, first : last + 1]
        for tap, (up, back) in enumerate(TAPS):
            before = diagonals[diagonal - up - back, :, :, first - up : last + 1 - up]
            now.addcmul_(coefficients[:, :, tap, None], before)
    return diagonals[rows[CROP:] + columns[CROP:], :, :, rows[CROP:]].permute(2, 3, 0, 1)


def steady(fields: Tensor) -> Tensor:
    """Whether a process neither explodes nor dies out: ``(N, starts, H, W)`` to ``(N,)`` bool.

    That is, all its values are finite and, over the starts, the root mean square of each quarter of the image is at
    least ``STEADY`` of the whole image's.
    """
    half_height, half_width = fields.shape[2] // 2, fields.shape[3] // 2
    squares = fields.square()
    quarters = torch.stack(
        [
            half[..., columns].mean(dim=(1, 2, 3))
            for half in (squares[:, :, :half_height], squares[:, :, half_height:])
            for columns in (slice(None, half_width), slice(half_width, None))
        ]
    )
    return quarters.isfinite().all(dim=0) & (quarters.amin(dim=0) >= STEADY**2 * quarters.mean(dim=0))


def _windows(fields: Tensor) -> Tensor:
    """The mean products G of the nine values of a 3x3 window over fields: ``(N, starts, H, W)`` to ``(N, 9, 9)``.

    The mean square of the residual of a filter f on the fields is then f' G f.
    """
    height, width = fields.shape[2] - 2, fields.shape[3] - 2
    shifted = [fields[:, :, 2 - up : 2 - up + height, 2 - back : 2 - back + width] for up, back in (*TAPS, (0, 0))]
    values = torch.stack(shifted, dim=1).flatten(2)
    return values @ values.mT / values.shape[2]


def _processes(generator: np.random.Generator, height: int, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Steady processes of one channel, without end: coefficients ``(8,)`` and windows ``(9, 9)``.

    Raises:
        UserError: no draw was steady in many attempts.
    """
    in_vain = 0
    while in_vain < ROUNDS:
        coefficients = torch.from_numpy(generator.standard_normal((BLOCK, 8)))
        coefficients /= coefficients.sum(dim=1, keepdim=True)
        starts = torch.from_numpy(generator.standard_normal((BLOCK, STARTS, _edge(height, width))))
        fields = grow(coefficients[:, None], starts, height, width)
        good = steady(fields)
        in_vain = 0 if good.any() else in_vain + 1
        yield from zip(coefficients[good], _windows(fields[good]), strict=True)
    raise UserError(f"method ar: none of {ROUNDS * BLOCK} processes is steady on {height}x{width}; try smaller images")


def _candidates(processes: Iterator[tuple[Tensor, Tensor]], channels: int) -> tuple[Tensor, Tensor]:
    """Processes for ``CANDIDATES`` classes: coefficients ``(N, C, 8)``, windows ``(N, C, 9, 9)`` of one energy."""
    drawn = [next(processes) for _ in range(CANDIDATES * channels)]
    coefficients = torch.stack([process[0] for process in drawn]).view(CANDIDATES, channels, 8)
    windows = torch.stack([process[1] for process in drawn]).view(CANDIDATES, channels, 9, 9)
    return coefficients, windows / windows[:, :, 8, 8].sum(dim=1)[:, None, None, None]


def _leaves(coefficients: Tensor, windows: Tensor) -> Tensor:
    """The residual of each process's filter on the fields of others, as a share of their root mean square.

    Args:
        coefficients: ``(N, C, 8)``.
        windows: ``(M, C, 9, 9)``.

    Returns:
        ``(N, M)``; 0 for a process's own fields.
    """
    filters = torch.cat([-coefficients, torch.ones_like(coefficients[..., :1])], dim=2)
    products = (filters[:, :, :, None] * filters[:, :, None, :]).flatten(1)
    return (products @ windows.flatten(1).mT).clamp(min=0).sqrt()


def basis(network: FrozenNetwork | None, train: Split, problem: Problem[Ar], seed: int, device: torch.device) -> Tensor:
    """The coefficients of each class's processes, one process for each channel.

    They are normal draws, divided by their sum. Only processes that are steady on fields of the images' size count (see
    ``steady``), which excludes those that explode, die out or give NaN. Of ``CANDIDATES`` such draws a class takes the
    one that differs most from the classes before it: the one with the largest minimum of the residuals of its filter on
    their fields and of their filters on its own. If that minimum is less than ``APART`` of a field's root mean square,
    other candidates are drawn.

    Returns:
        ``(classes, C, 8)``, float64.

    Raises:
        UserError: no process differs enough from the others in ``ROUNDS`` rounds of candidates.
    """
    height, width, channels = train.images.shape[1:]
    processes = _processes(numpy_generator(seed, "ar", "coefficients"), height, width)
    coefficients, windows = (part[:1] for part in _candidates(processes, channels))
    for label in range(1, problem.classes):
        for _ in range(ROUNDS):
            more, more_windows = _candidates(processes, channels)
            least = torch.minimum(_leaves(more, windows), _leaves(coefficients, more_windows).mT).amin(dim=1)
            best = least.argmax()
            if least[best] >= APART:
                break
        else:
            raise UserError(
                f"method ar: class {label} ({train.classes[label]!r}): none of {ROUNDS * CANDIDATES} processes on "
                f"{height}x{width}x{channels} differs enough from those of the classes before it; try fewer classes or "
                f"another seed than {seed}"
            )
        coefficients = torch.cat([coefficients, more[best][None]])
        windows = torch.cat([windows, more_windows[best][None]])
    return coefficients.to(device)


def noise(coefficients: Tensor, batch: Batch[Ar]) -> Tensor:
    """A field of the class of each image, generated from its own normal draws and scaled to the radius.

    Computed in double precision, so that no value rounds to another grey level in another batch.

    Args:
        coefficients: from ``basis``.
        batch: the images.

    Returns:
        ``(B, C, H, W)``, whole numbers whose Euclidean norm is 255 times the radius, up to rounding.
    """
    images, radius = batch.images, batch.problem.settings.radius
    channels, height, width = images.shape[1:]

    def draw(rows: int, g: torch.Generator) -> Tensor:
        size = (rows, channels, _edge(height, width))
        return torch.randn(size, dtype=coefficients.dtype, device=coefficients.device, generator=g)

    fields = grow(coefficients[batch.labels], by_rows(len(images), batch.draws, draw), height, width)
    norms = fields.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
    return (fields * (255 * radius / norms)).round().to(images.dtype)
