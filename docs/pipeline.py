"""Draw docs/pipeline.svg, the picture of the pipeline in the README: ``python docs/pipeline.py``.

One unit of the drawing is a tenth of an inch. The same matplotlib writes the same bytes every time.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

PICTURE = Path(__file__).with_suffix(".svg")
WIDTH, HEIGHT = 101.0, 60.0
CARD, TALL = 16.2, 19.0  # width and height of a card
COLUMNS = [2.6, 22.5, 42.4, 62.3, 82.2]  # left edges of the cards
MARGIN = 1.1  # of a frame around its cards
UPPER, LOWER = 34.0, 4.5  # bottom edges of the two rows
INK, SOFT, LINE, CLOTH, CLAY = "#1f2933", "#5f6c7b", "#8a96a3", "#3b6ea5", "#c0563b"
PROTECT, MEASURE, GPU = "#eef4fb", "#fdf4e7", "#2e7d4f"
SHIRT = [(1, 6), (3, 7), (5, 7), (7, 6), (6.4, 4.4), (5.6, 4.8), (5.6, 1), (2.4, 1), (2.4, 4.8), (1.6, 4.4)]


class Picture:
    """The figure, and what is drawn on it more than once."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(WIDTH / 10, HEIGHT / 10))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
        self.axes.axis("off")

    def text(self, x: float, y: float, words: str, size: float = 9, color: str = INK, **more: Any) -> None:
        """Words, centred at a place unless told otherwise."""
        self.axes.text(x, y, words, fontsize=size, color=color, **{"ha": "center", "va": "center"} | more)

    def box(self, x: float, y: float, width: float, height: float, fill: str, edge: str, rounding: float = 1) -> None:
        """A rectangle with round corners."""
        style = f"round,pad=0,rounding_size={rounding}"
        self.axes.add_patch(FancyBboxPatch((x, y), width, height, style, facecolor=fill, edgecolor=edge, linewidth=1))

    def band(self, y: float, fill: str, title: str) -> None:
        """The background of one row, with its title in the upper left corner."""
        self.box(0.6, y - 2.6, WIDTH - 1.2, TALL + 8.6, fill, "none", 1.5)
        self.text(COLUMNS[0], y + TALL + 4.1, title, 11, SOFT, ha="left", weight="bold")

    def card(self, x: float, y: float, title: str, about: str, rule: str, gpu: bool = False, copies: int = 1) -> None:
        """What a rule makes; several cards in a stack where several jobs make it."""
        for copy in reversed(range(copies)):
            self.box(x + 0.9 * copy, y + 0.9 * copy, CARD, TALL, "white", LINE)
        self.text(x + CARD / 2, y + 7, title, 10, weight="bold")
        self.text(x + CARD / 2, y + 4.5, about, 8, SOFT)
        self.text(x + CARD / 2, y + 1.9, rule, 8, family="monospace")
        if gpu:
            self.badge(x + CARD - 4.6, y + TALL - 2.7)

    def badge(self, x: float, y: float) -> None:
        """The mark of a rule that takes a GPU."""
        self.box(x, y, 4, 2.1, GPU, "none", 0.6)
        self.text(x + 2, y + 1.05, "GPU", 7, "white", weight="bold")

    def group(self, left: float, right: float) -> tuple[float, float]:
        """A frame around the cards of the lower row from one column to another; returns its left and right edges."""
        edges = left - MARGIN, right + CARD + MARGIN
        style = "round,pad=0,rounding_size=1.4"
        look: dict[str, Any] = {"facecolor": "none", "edgecolor": LINE, "linewidth": 1, "linestyle": (0, (4, 3))}
        place = (edges[0], LOWER - MARGIN)
        self.axes.add_patch(FancyBboxPatch(place, edges[1] - edges[0], TALL + 2 * MARGIN, style, **look))
        return edges

    def thin(self, *points: tuple[float, float]) -> None:
        """An arrow of images beside the main flow."""
        self.arrow(*points, color=SOFT, width=1)

    def arrow(self, *points: tuple[float, float], color: str = INK, width: float = 1.6) -> None:
        """A line through the points with a head at the last one."""
        for start, end in pairwise(points[:-1]):
            self.axes.plot(*zip(start, end, strict=True), color=color, linewidth=width, solid_capstyle="round")
        ends: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
        self.axes.add_patch(FancyArrowPatch(*points[-2:], color=color, linewidth=width, **ends))

    def tile(self, x: float, y: float, side: float, shirt: bool = False, noise: float = 0, pixels: int = 8) -> None:
        """An image of some pixels a side: a shirt, noise of a strength between 0 and 1, or both."""
        pixel = side / pixels
        self.axes.add_patch(Rectangle((x, y), side, side, facecolor="#f7f7f7", edgecolor="none"))
        if shirt:
            corners = [(x + a * pixel, y + b * pixel) for a, b in SHIRT]
            self.axes.add_patch(Polygon(corners, facecolor=CLOTH, edgecolor="none"))
        state = int(97 * x + 31 * y)  # of a generator of its own, the same in every version of every library
        for place in range(pixels * pixels if noise else 0):
            state = (state * 1103515245 + 12345) % 2**31
            grey = state / 2**31
            corner = (x + place % pixels * pixel, y + place // pixels * pixel)
            look: dict[str, Any] = {"facecolor": f"{grey:.2f}", "alpha": noise, "edgecolor": "none"}
            self.axes.add_patch(Rectangle(corner, pixel, pixel, **look))
        self.axes.add_patch(Rectangle((x, y), side, side, facecolor="none", edgecolor=LINE, linewidth=0.8))

    def network(self, x: float, y: float, color: str) -> None:
        """Three layers of units, each joined to all of the next; (x, y) is the middle."""
        layers = [[(x + 3.2 * (i - 1), y + 2.2 * (j - (n - 1) / 2)) for j in range(n)] for i, n in enumerate((3, 4, 2))]
        for left, right in pairwise(layers):
            for a in left:
                for b in right:
                    self.axes.plot(*zip(a, b, strict=True), color=LINE, linewidth=0.5)
        for place in (unit for layer in layers for unit in layer):
            self.axes.add_patch(Circle(place, 0.65, facecolor=color, edgecolor="white", linewidth=0.6, zorder=3))

    def table(self, x: float, y: float) -> None:
        """Rows and columns; (x, y) is the lower left corner."""
        for row in range(4):
            for column in range(3):
                fill = "#d5dee8" if row == 3 else "white"
                place = (x + 2.6 * column, y + 1.7 * row)
                self.axes.add_patch(Rectangle(place, 2.6, 1.7, facecolor=fill, edgecolor=LINE, linewidth=0.7))

    def curves(self, x: float, y: float) -> None:
        """Axes with the lines of a clean and of a protected dataset; (x, y) is the lower left corner."""
        self.axes.plot([x, x, x + 8], [y + 7, y, y], color=LINE, linewidth=1)
        for heights, color in (((5.9, 5.8, 5.5, 5.2), CLOTH), ((1.2, 1.6, 2.4, 3.4), CLAY)):
            self.axes.plot([x + 0.8 + 2.1 * i for i in range(4)], [y + h for h in heights], color=color, linewidth=1.6)


def draw() -> Figure:
    """The whole picture."""
    p = Picture()
    p.band(UPPER, PROTECT, "Protect")
    p.band(LOWER, MEASURE, "Measure")
    protect(p)
    measure(p)
    legend(p, COLUMNS[0] + 0.6, LOWER + 9)
    return p.figure


def protect(p: Picture) -> None:
    """The upper row: from a dataset to its protected copy."""
    first, second, third, fourth, fifth = COLUMNS
    bus, ceiling, icons = UPPER + TALL + 3.2, UPPER + TALL, UPPER + 9.6
    p.thin((first + CARD / 2, ceiling), (first + CARD / 2, bus), (third + 4, bus), (third + 4, ceiling + 1.8))
    p.thin((third + 4, bus), (fifth + CARD / 2, bus), (fifth + CARD / 2, ceiling))
    p.text((second + third) / 2 + 4, bus + 1.3, "training images", 8, SOFT)

    p.card(first, UPPER, "dataset", "clean images", "dataset")
    for step in range(3):
        p.tile(first + 3.8 + 1.1 * step, icons + 2 - step, 6.4, shirt=True)
    p.card(second, UPPER, "source model", "trained for its noise", "source_model", gpu=True)
    p.network(second + 7.2, icons + 4, CLOTH)
    p.card(third, UPPER, "noise shards", "whole grey levels", "noise", gpu=True, copies=3)
    p.tile(third + 3.4, icons + 0.6, 7, noise=1)
    p.card(fourth, UPPER, "merged noise", "within its bound", "merge_noise")
    for dx, dy in ((0, 3.6), (3.6, 3.6), (0, 0), (3.6, 0)):
        p.tile(fourth + 4.6 + dx, icons + 0.6 + dy, 3.4, noise=1, pixels=4)
    p.card(fifth, UPPER, "protected dataset", "Parquet, NumPy", "perturbed_dataset")
    p.tile(fifth + 4.6, icons + 0.6, 7, shirt=True, noise=0.3)
    for left, right, stack in ((first, second, 0), (second, third, 0), (third, fourth, 1.8), (fourth, fifth, 0)):
        p.arrow((left + CARD + stack, UPPER + TALL / 2), (right, UPPER + TALL / 2))


def measure(p: Picture) -> None:
    """The lower row, from right to left: victims below the protected dataset, then what they show."""
    first, second, third, fourth, fifth = COLUMNS
    second, third = second - 2.8, third - 2.8  # room for the arrow between the frames
    icons, ceiling = LOWER + 9.6, LOWER + TALL + MARGIN
    shown, victims = p.group(second, third), p.group(fourth, fifth)
    p.card(fourth, LOWER, "standard victim", "radius 0", "victim", gpu=True)
    p.network(fourth + 7.2, icons + 4, CLOTH)
    p.card(fifth, LOWER, "adversarial victim", "trained against PGD", "victim", gpu=True)
    p.network(fifth + 7.2, icons + 4, CLAY)
    p.card(second, LOWER, "tables", "CSV, Markdown, LaTeX", "table")
    p.table(second + 4.2, icons + 0.7)
    p.card(third, LOWER, "figures", "PDF, SVG, PNG", "figure")
    p.curves(third + 4.1, icons + 0.4)
    p.arrow((fifth + CARD / 2, UPPER), (fifth + CARD / 2, ceiling))
    p.arrow((victims[0], LOWER + TALL / 2), (shown[1], LOWER + TALL / 2))
    line = ceiling + 2.1
    p.thin((first + 13, UPPER), (first + 13, line), (fourth + CARD / 2, line), (fourth + CARD / 2, ceiling))
    p.text((second + third) / 2 + 4, line + 1.3, "clean test images", 8, SOFT)


def legend(p: Picture, x: float, y: float) -> None:
    """What the marks mean, in the place that the lower row leaves free; (x, y) is the upper left corner."""
    p.badge(x, y - 1)
    p.text(x + 5, y, "takes a GPU,", 8, SOFT, ha="left")
    p.text(x + 5, y - 1.8, "if there is one", 8, SOFT, ha="left")
    for copy in (2, 1, 0):
        p.box(x + 0.5 + 0.5 * copy, y - 5.8 + 0.5 * copy, 2, 1.6, "white", LINE, 0.3)
    p.text(x + 5, y - 4.6, "jobs side by side", 8, SOFT, ha="left")
    p.text(x, y - 7.6, "rule", 8, ha="left", family="monospace")
    p.text(x + 5, y - 7.6, "name of the rule", 8, SOFT, ha="left")


def main() -> None:
    """Write the picture."""
    style: dict[Any, Any] = {"svg.fonttype": "path", "svg.hashsalt": "pipeline", "font.family": "DejaVu Sans"}
    with mpl.rc_context(style):
        draw().savefig(PICTURE, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
