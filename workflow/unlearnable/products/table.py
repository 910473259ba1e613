"""Tables as CSV (numbers), Markdown and LaTeX (text)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from unlearnable import files
from unlearnable.products.product import TableFiles

ROW_AXES = {
    "dataset": "dataset",
    "network": "network",
    "protected": "protected, %",
    "countermeasure": "counter-measure",
    "radius": "victim's radius, 1/255",
}


MANY_COLUMNS = 6
TRAINING_IMAGES_ONLY = (
    "Counter-measures act on the training images only; equalise and standardise on the test images too."
)


SPECIAL = {
    **{character: f"\\{character}" for character in "%_&#${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "!": "{!}"},
    **{"<": "$<$", ">": "$>$", "±": r"$\pm$", "·": r"$\cdot$", "|": "$|$", '"': "''"},
}


def number(mean: float, sd: float, n: int, decimals: int) -> str:
    """``mean ± sd (n)``; without sd for a single run."""
    return f"{plain_number(mean, sd, decimals)} ({n})"


def plain_number(mean: float, sd: float, decimals: int) -> str:
    """``mean ± sd``; without sd for a single run, and empty without a mean."""
    if math.isnan(mean):
        return ""
    return f"{mean:.{decimals}f}" + ("" if math.isnan(sd) else f" ± {sd:.{decimals}f}")


def with_interval(mean: float, low: float, high: float, decimals: int) -> str:
    """``mean [low, high]``; without an interval if there is none."""
    ends = "" if math.isnan(low) else f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return f"{mean:.{decimals}f}{ends}"


def save_table(
    out: TableFiles, table: pd.DataFrame, text: pd.DataFrame, caption: str, notes: Sequence[str] = ()
) -> None:
    """Write the numbers as CSV and their text as Markdown and LaTeX (booktabs; graphicx if there are many columns).

    Args:
        out: files to write.
        table: the numbers, one row per cell of the text.
        text: the table to read.
        caption: description of the table.
        notes: lines under the text.
    """
    body = text.to_markdown(index=False, disable_numparse=True)
    tex = text.map(_latex).rename(columns=_latex).to_latex(index=False, escape=False, caption=_latex(caption))
    if text.shape[1] > MANY_COLUMNS:  # wider than a page
        tex = tex.replace(r"\begin{tabular}", "\\resizebox{\\linewidth}{!}{%\n\\begin{tabular}")
        tex = tex.replace(r"\end{tabular}", "\\end{tabular}%\n}")
    below = "".join(f"\\par\\smallskip{{\\footnotesize {_latex(note)}\\par}}\n" for note in notes)
    tex = tex.replace("\\end{table}", f"{below}\\end{{table}}")
    markdown = "\n\n".join([caption, body, *notes]) + "\n"
    contents = {out.csv: table.to_csv(index=False), out.markdown: markdown, out.latex: tex}
    for path, content in contents.items():
        with files.atomic(path) as file:
            file.write(content.encode())


def _latex(text: object) -> str:
    return "".join(SPECIAL.get(character, character) for character in str(text))


def without_constant_axes(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows with readable names of the axes that vary, and a sentence that names the others.

    Args:
        rows: a column for each of ``ROW_AXES``, and others, which are kept.
    """
    constant = [axis for axis in ROW_AXES if axis != "radius" and rows[axis].nunique() == 1]
    named = [axis for axis in constant if rows[axis].iloc[0] != "none"]
    sentence = "; ".join(f"{ROW_AXES[axis]}: {rows[axis].iloc[0]}" for axis in named)
    return rows.drop(columns=constant).rename(columns=ROW_AXES), f"{sentence}." if sentence else ""


def about_countermeasures(rows: pd.DataFrame) -> str:
    """A remark on counter-measures; empty if there are none."""
    return TRAINING_IMAGES_ONLY if (rows["countermeasure"] != "none").any() else ""


def join_sentences(*sentences: str) -> str:
    """The non-empty sentences as one text."""
    return " ".join(filter(None, sentences))
