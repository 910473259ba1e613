"""Figures as PDF, SVG and PNG, in one style that is readable in grey and without colour vision."""

from __future__ import annotations

import io
import logging
import math
import textwrap
import warnings
from collections.abc import Iterable
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unlearnable import files
from unlearnable.products import fonts
from unlearnable.products.product import FigureFiles
from unlearnable.products.settings import FigureSettings

# Okabe and Ito's colours, dark enough on white, in an order whose greys differ, too. There are 7 colours, 13 markers
# and 5 lines; without a common factor, combinations repeat late.
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "p", ">", "h", "d")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "savefig.bbox": "tight",
    "svg.hashsalt": "unlearnable",  # the same figure gives the same bytes
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a class may be called $x$
    "text.usetex": False,
}


logging.getLogger("fontTools").setLevel(logging.WARNING)  # it logs every glyph in a PDF


NO_DATE: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
LINE = 0.16  # inches, of a title
PANEL = ["dataset", "network", "protected", "countermeasure"]


def drawing(style: FigureSettings, text: str = "") -> Any:
    """Matplotlib's settings for a figure, for ``matplotlib.rc_context``.

    Args:
        style: the figure's settings.
        text: what it writes apart from ASCII, in any script.

    Returns:
        A dict; Matplotlib's own type lists all keys.

    Raises:
        UserError: the font in the settings does not exist.
    """
    families = fonts.families(text, style.font, f"render.{style.product.replace('-', '_')}.font")
    if families == [fonts.DEFAULT]:
        return STYLE
    return STYLE | {"font.family": families, "pdf.fonttype": 3}  # 42 is for TrueType only, and fonts can be of any kind


def save_figure(out: FigureFiles, figure: Figure, dpi: int) -> None:
    """Write a figure in three formats, without dates."""
    for path, kind in ((out.pdf, "pdf"), (out.svg, "svg"), (out.png, "png")):
        content = io.BytesIO()  # Matplotlib's PDF writer would hide why a write failed
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # ``drawing`` has logged these characters
            figure.savefig(content, format=kind, dpi=dpi, metadata=NO_DATE[kind])
        with files.atomic(path) as file:
            file.write(content.getbuffer())


def looks(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A colour, a marker and a line style for each label; the same labels in the same order always get the same."""
    styles = zip(dict.fromkeys(labels), cycle(COLOURS), cycle(MARKERS), cycle(LINES), strict=False)
    return {name: {"color": colour, "marker": marker, "linestyle": line} for name, colour, marker, line in styles}


def training_kind(radius: int) -> str:
    """Standard or adversarial training, in words."""
    return "standard training" if radius == 0 else f"adversarial training, radius {radius}/255"


def title(data: pd.DataFrame, panel: dict[str, Any]) -> list[str]:
    """The title of a panel: its dataset and network, and its share and counter-measure if there are several.

    Args:
        data: all rows of the figure.
        panel: the panel's values of ``PANEL``.

    Returns:
        One or two lines.
    """
    more = []
    if data["protected"].nunique() > 1:
        more.append(f"{panel['protected']} % protected")
    if (data["countermeasure"] != "none").any():
        more.append("no counter-measure" if panel["countermeasure"] == "none" else panel["countermeasure"])
    return [f"{panel['dataset']}, {panel['network']}", *([", ".join(more)] if more else [])]


def broken(lines: list[str], width: float) -> list[str]:
    """The lines of a title, broken to fit a panel of ``width`` inches."""
    characters = max(12, int(14.5 * (width - 0.5)))  # in the size of titles, with room for labels to the panel's left
    return [part for line in lines for part in textwrap.wrap(line, characters, break_on_hyphens=False)]


def set_title(axes: Axes, lines: list[str], width: float) -> None:
    """Put a title above a panel of ``width`` inches."""
    axes.set_title("\n".join(broken(lines, width)), loc="left", fontsize=9)


def accuracy_panels(titles: list[list[str]], width: float, aspect: float) -> tuple[Figure, list[Axes]]:
    """A figure of panels of clean-test accuracies: stacked if they are few, otherwise in a grid.

    Args:
        titles: the lines of each panel's title.
        width: of the figure, in inches.
        aspect: height of a panel, as a share of its width.
    """
    columns = 1 if len(titles) <= 2 else 2 if len(titles) <= 6 else 3
    rows = math.ceil(len(titles) / columns)
    lines = max(len(broken(of_panel, width / columns)) for of_panel in titles)
    room = (lines - 1) * LINE + (0 if columns == 1 else 0.35)  # a narrow panel needs the same room for its labels
    figure = Figure(figsize=(width, (aspect * width / columns + room) * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    for first in grid[:, 0]:
        first.set_ylabel("clean-test accuracy (%)")
    for axes in grid.ravel()[len(titles) :]:
        axes.set_axis_off()
    panels = list(grid.ravel()[: len(titles)])
    for axes, of_panel in zip(panels, titles, strict=True):
        axes.set_ylim(0, 100)
        set_title(axes, of_panel, width / columns)
    return figure, panels


def legend_entries(all_axes: list[Axes], noises: list[str]) -> tuple[list[Artist], list[str]]:
    """Handles and names for the legend of all panels: the noises in this order, then everything else with a name."""
    found = {name: handle for axes in all_axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [*(name for name in noises if name in found), *(name for name in found if name not in noises)]
    return [found[name] for name in names], names


def legend_outside(figure: Figure, all_axes: list[Axes], noises: list[str]) -> None:
    """One legend for all panels, to their right."""
    entries = legend_entries(all_axes, noises)
    figure.legend(*entries, title="noise", loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3.5)
