"""The strengths of protection on a few images, side by side, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from unlearnable import files
from unlearnable.datasets.native import add, carried, decode_native
from unlearnable.owners.presets import DEFAULT
from unlearnable.owners.project import STRENGTHS
from unlearnable.owners.scan import Found
from unlearnable.randomness import numpy_generator

ROWS = 4  # images on a sheet
TILE = 480  # side of a square that each fits into, in pixels
CAPTION = 24  # height of a line of text, in pixels


def preview(root: Path, images: Sequence[Found], into: Path) -> None:
    """Write a sheet with some images as they are and at every strength.

    The pattern is not the noise that a release gets, which only training can find, but one of the same grain and of the
    largest size that noise of each strength can have.

    Args:
        root: the folder that files are named from.
        images: the owner's.
        into: PNG file to write.
    """
    shown = chosen(images)
    side = DEFAULT["image_size"]
    sheet = Image.new("RGB", ((len(STRENGTHS) + 1) * TILE, len(shown) * TILE + CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    captions = ["original", *(f"{name}: up to {rho_u} of 255" for name, rho_u in STRENGTHS.items())]
    for column, caption in enumerate(captions):
        draw.text((column * TILE + 6, 6), caption, fill="black", font_size=14)
    for row, found in enumerate(shown):
        path = root / found.entry.file
        image = decode_native(path.read_bytes(), str(path))
        height, width, channels = image.colour.shape
        signs = numpy_generator(0, "preview", row).choice([-1, 1], (side, side, 3)).astype(np.int16)
        noises = [rho_u * signs for rho_u in STRENGTHS.values()]
        tiles = [image.colour, *(add(image, carried(noise, (width, height), channels)) for noise in noises)]
        for column, tile in enumerate(tiles):
            small = Image.fromarray(tile[..., 0] if channels == 1 else tile)
            small.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
            sheet.paste(small, (column * TILE, CAPTION + row * TILE))
    with files.atomic(into) as file:
        sheet.save(file, "png")


def chosen(images: Sequence[Found]) -> list[Found]:
    """The images of a sheet: the first of each class, and then the second, until there are enough."""
    by_class: dict[str, list[Found]] = {}
    for found in images:
        by_class.setdefault(found.entry.label, []).append(found)
    turns = max(map(len, by_class.values()))
    return [of_class[turn] for turn in range(turns) for of_class in by_class.values() if turn < len(of_class)][:ROWS]
