"""A page that shows what an audit found: one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from unlearnable import files
from unlearnable.datasets.split import Array
from unlearnable.errors import printable
from unlearnable.owners import findings
from unlearnable.owners.changes import Changes, both
from unlearnable.owners.findings import Row
from unlearnable.owners.pairs import Audited, Pair

SIDE = 256  # pixels: of larger images the centre is shown, so that no pixel is interpolated
CLASSES = 40  # whose images are shown
LISTED = 1000  # files left out that are listed
GREY = 127
CHART = (640, 160)  # width and height of the chart, in pixels
# Nothing is loaded and no script runs, whatever a name holds that was not escaped.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { margin-bottom: 0; } .verdict { font-size: 1.3rem; font-weight: 600; }
table { border-collapse: collapse; } th, td { padding: .3rem .7rem; border-bottom: 1px solid #ccc; text-align: left; }
td.number { text-align: right; white-space: nowrap; } figure { display: inline-block; margin: 0 1rem 1rem 0; }
figure img { image-rendering: pixelated; min-width: 96px; vertical-align: top; } figcaption { overflow-wrap: anywhere; }
li, td { overflow-wrap: anywhere; }
"""


def write(
    path: Path, name: str, rows: Sequence[Row], images: Audited, changes: Changes, released: Path, originals: Path
) -> None:
    """Write the page of an audit; other arguments and errors as for ``page``."""
    with files.atomic(path) as file:
        for piece in page(name, rows, images, changes, released, originals):
            file.write(piece.encode())


def page(
    name: str, rows: Sequence[Row], images: Audited, changes: Changes, released: Path, originals: Path
) -> Iterator[str]:
    """The page, in pieces.

    Args:
        name: of the release.
        rows: what was found.
        images: what was trained and tested on, and what was left out.
        changes: how far the release changes its originals.
        released: the folder that released files are named from.
        originals: the folder that originals are named from.

    Raises:
        UserError: an image cannot be decoded.
    """
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>Audit of {text(name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<h1>Audit of {text(name)}</h1>\n<p class="verdict">{text(findings.verdict(rows))}</p>\n'
        "<p><strong>This page shows originals: do not hand it out.</strong></p>\n"
        f"<p>Networks were trained on {len(images.train)} released images of {len(images.classes)} classes and on "
        f"their originals, and tested on {len(images.test)} originals that neither had seen.</p>\n"
    )
    yield f"<ul>\n{''.join(f'<li>{text(line)}</li>' for line in findings.lines(rows))}\n</ul>\n"
    yield from _table(rows)
    yield from _chart(changes)
    yield from _images(images.train, released, originals)
    yield from _left_out(images)
    yield "</body>\n</html>\n"


def text(value: str) -> str:
    """Text for a page: without meaning in HTML, and in one line."""
    return html.escape(printable(value))


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "<h2>What was measured</h2>\n<p>Accuracy on the test images in per cent: after training on the originals and "
    yield "on the release, and the share of what the originals teach that the release does not (protection), with its "
    yield "95 % interval.</p>\n<table>\n"
    yield "<tr><th>trainer</th><th>originals</th><th>release</th><th>protection</th></tr>\n"
    for row in rows:
        protection = _number(row.protection)
        if row.low is not None and row.high is not None:
            protection += f" [{row.low:.0f}, {row.high:.0f}]"
        numbers = (_number(row.originals), _number(row.release), protection)
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        yield f"<tr><td>{text(row.trainer)}</td>{cells}</tr>\n"
    yield "</table>\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _chart(changes: Changes) -> Iterator[str]:
    """Bars: the share of values that change by each number of grey levels."""
    width, height = CHART
    shares = changes.counts[: changes.largest + 1] / changes.counts.sum()
    step = width / len(shares)
    yield f"<h2>How far values change</h2>\n<p>Share of the values of {changes.images} images by their change, from 0 "
    yield f"to {changes.largest} of 255 grey levels; the highest bar is {100 * shares.max():.0f} %.</p>\n"
    yield f'<svg width="{width}" height="{height}" role="img" aria-label="distribution of changes">\n'
    for level, share in enumerate(shares):
        tall = height * share / shares.max()
        yield f'<rect x="{level * step:.1f}" y="{height - tall:.1f}" width="{0.9 * step:.1f}" height="{tall:.1f}" '
        yield f'fill="#4572a7"><title>{level}: {100 * share:.2f} %</title></rect>\n'
    yield "</svg>\n"


def _images(pairs: Sequence[Pair], released: Path, originals: Path) -> Iterator[str]:
    """The first image of each class: original, released, and their difference, amplified."""
    first: dict[str, Pair] = {}
    for pair in pairs:
        first.setdefault(pair.original.entry.label, pair)
    yield "<h2>Images</h2>\n<p>The first of each class: original, released, and the change, amplified around grey. Of "
    yield "large images the centre is shown.</p>\n"
    for label in sorted(first)[:CLASSES]:
        after, before = both(first[label], released, originals)
        change = after.astype(np.int16) - before
        largest = int(np.abs(change).max()) or 1
        amplified = (GREY + change * (GREY // largest)).astype(np.uint8)
        shown = "".join(
            f'<img alt="{alt}" src="{_address(centre(image))}"> '
            for alt, image in (("original", before), ("released", after), ("change", amplified))
        )
        caption = f"{text(label)}: {text(first[label].released.entry.file)}"
        yield f"<figure>{shown}<figcaption>{caption}</figcaption></figure>\n"
    if len(first) > CLASSES:
        yield f"<p>{len(first) - CLASSES} more classes are not shown.</p>\n"


def centre(image: Array) -> Array:
    """The central part of an image that is no larger than ``SIDE`` in height and width."""
    height, width = image.shape[:2]
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    return image[top : top + SIDE, left : left + SIDE]


def _address(image: Array) -> str:
    """An image as the address of an inline PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _left_out(images: Audited) -> Iterator[str]:
    yield "<h2>Left out</h2>\n"
    if not images.left_out:
        yield "<p>Nothing.</p>\n"
        return
    yield "<ul>\n"
    for fault in images.left_out[:LISTED]:
        yield f"<li>{text(fault.file)}: {text(fault.reason)}</li>\n"
    yield "</ul>\n"
    if len(images.left_out) > LISTED:
        yield f"<p>And {len(images.left_out) - LISTED} more, in left_out.csv.</p>\n"
