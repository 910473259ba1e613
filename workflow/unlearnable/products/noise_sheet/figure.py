"""The noise sheet: images, their noise and the protected images."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from unicodedata import east_asian_width

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from unlearnable.datasets import protected
from unlearnable.datasets.shards import load
from unlearnable.datasets.split import Array
from unlearnable.products.figure import drawing, save_figure
from unlearnable.products.fonts import one_line
from unlearnable.products.frames import labels
from unlearnable.products.noise_sheet.settings import NoiseSheet
from unlearnable.products.product import FigureFiles, Given, Inputs, PerturbedCell

GREY = 127.5
GAP = 0.06  # between images, as a share of their width
FEW = 3  # largest number of changed pixels of an image that are circled


@dataclass(frozen=True)
class Strip:
    """One row of the sheet.

    Attributes:
        text: shown beside it.
        images: ``(N, H, W, C)`` uint8.
        circled: image, row and column of pixels, ``(P, 3)``.
    """

    text: str
    images: Array
    circled: Array = field(default_factory=lambda: np.empty((0, 3), int))


def write(given: Given[NoiseSheet], inputs: Inputs, out: FigureFiles) -> None:
    """The first protected image of each class: the original, its noise (amplified around grey) and the protected image.

    Noise is amplified (or weakened) by ``amplify``. If only a few pixels of an image change, they are circled, so that
    they are visible.

    Args:
        given: the protected datasets to show.
        inputs: their manifests, and that of the clean dataset.
        out: files to write.
    """
    style = given.style
    clean = load(inputs.clean[0].parent, "train")
    shown = _shown(given.shown, clean.labels, len(clean.classes))[: style.images]
    originals = clean.images[shown]  # reads only these rows, here and below
    groups = [[Strip("original", originals)]]
    for name, manifest in zip(labels(given.shown), inputs.shown, strict=True):
        published = protected.load_protected(manifest.parent).images[shown]
        change = published.astype(np.int16) - originals
        factor, amplified = amplify(change)
        noise = Strip(f"{name}\nnoise x{factor:.2g}", amplified, few_pixels(change))
        groups.append([noise, Strip(f"{name}\nprotected", published)])
    names = [one_line(clean.classes[label].split(",")[0]) for label in clean.labels[shown]]
    with mpl.rc_context(drawing(style, "".join(names)) | {"axes.grid": False}):
        save_figure(out, _draw(groups, names, style.width, style.dpi), style.dpi)


def _shown(cells: Sequence[PerturbedCell], labels: Array, classes: int) -> Array:
    """The first protected row of each class; all methods protect the same rows at one seed and share."""
    rows = np.ones(len(labels), bool)
    if cells:
        rows = protected.protected_rows(labels, cells[0].protected, cells[0].seed)
    return np.concatenate([np.flatnonzero(rows & (labels == y))[:1] for y in range(classes)])


def amplify(change: Array) -> tuple[float, Array]:
    """A change as an image around grey, with the largest changes black or white.

    The largest change is taken as the 99th percentile of the changed values: for a bounded noise this is its radius;
    unbounded noise, such as a blur, would be invisible beside a few extremes.

    Args:
        change: ``(N, H, W, C)`` signed whole grey levels.

    Returns:
        The factor (1 where nothing changes), and ``(N, H, W, C)`` uint8.
    """
    sizes = np.abs(change[change != 0])
    factor = GREY / float(np.percentile(sizes, 99, method="higher")) if sizes.size else 1.0
    return factor, np.clip(np.round(GREY + factor * change), 0, 255).astype(np.uint8)


def few_pixels(change: Array) -> Array:
    """Image, row and column of every changed pixel, ``(P, 3)``, if no image has more than ``FEW``; otherwise none.

    Args:
        change: ``(N, H, W, C)`` signed whole grey levels.
    """
    changed = change.any(axis=3)
    return np.argwhere(changed) if (changed.sum(axis=(1, 2)) <= FEW).all() else np.empty((0, 3), int)


def _draw(groups: list[list[Strip]], names: list[str], width: float, dpi: int) -> Figure:
    """Rows of images, the rows of a group close together, with the names of the columns above the first."""
    columns = len(names)
    size = groups[0][0].images.shape[2]
    gap = _gap(size) / size
    label_room = 1.15
    strip = width - label_room
    side = strip / (columns + gap * (columns - 1))  # inches, of an image
    between, title_room = 0.12 * side, 0.3
    rows = sum(map(len, groups))
    height = title_room + rows * side + (rows - len(groups)) * gap * side + (len(groups) - 1) * between
    figure = Figure(figsize=(width, height))
    top = height - title_room
    for group in groups:
        for row in group:
            axes = figure.add_axes((label_room / width, (top - side) / height, strip / width, side / height))
            mosaic = _side_by_side(row.images)
            fine = mosaic.shape[1] > strip * dpi  # more pixels than the PNG has for it
            axes.imshow(
                mosaic, cmap="gray", vmin=0, vmax=255, interpolation="antialiased" if fine else "nearest", aspect="auto"
            )
            axes.set_axis_off()
            for image, y, x in row.circled:
                at = image * (size + _gap(size)) + x
                for colour, diameter in (("white", 7), ("black", 9)):
                    axes.plot(at, y, "o", color=colour, markersize=diameter, markerfacecolor="none", clip_on=False)
            axes.text(-0.01, 0.5, row.text, transform=axes.transAxes, ha="right", va="center", fontsize=7)
            if row.text == "original":
                for column, name in enumerate(names):
                    at = (column * (1 + gap) + 0.5) * side / strip
                    text = _short(name, int(side * 72 / 3.3))
                    axes.text(at, 1.08, text, transform=axes.transAxes, ha="center", va="bottom", fontsize=6)
            top -= side * (1 + gap)
        top -= between - gap * side
    return figure


def _short(name: str, characters: int) -> str:
    """A name cut to the width of some narrow characters; those of East Asian scripts are twice as wide."""
    ends = list(accumulate(2 if east_asian_width(character) in "FW" else 1 for character in name))
    if not ends or ends[-1] <= characters:
        return name
    return name[: bisect_right(ends, characters - 1)] + "…"


def _gap(size: int) -> int:
    """Pixels between two images of ``size`` pixels."""
    return max(1, round(GAP * size))


def _side_by_side(images: Array) -> Array:
    """``(N, H, W, C)`` uint8 as one row of images on white, ``(H, all widths and gaps)`` or with a last axis of 3."""
    gap = _gap(images.shape[2])
    padded = np.pad(images, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=255)
    row = np.concatenate(list(padded), axis=1)[:, :-gap]
    return row[..., 0] if row.shape[2] == 1 else row
