"""A page that shows rankings: one HTML file that needs nothing else, whose tables can be sorted by any column."""

from __future__ import annotations

import base64
import hashlib
import html
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from unlearnable.errors import printable
from unlearnable.products.frames import CLEAN, grouped, in_order, records, trainer
from unlearnable.products.ranking import BLOCK
from unlearnable.products.statistics import LEVEL
from unlearnable.tools.arena.measured import ByNoise, Measured

NEAR_CHANCE = 5  # points: where clean images are not learnt, no protection is measured
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; color: #222; }
.wide { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: .3rem .55rem; border-bottom: 1px solid #ccc; text-align: right; white-space: nowrap; }
th:nth-child(-n+2), td:nth-child(-n+2), .name { text-align: left; }
thead th { cursor: pointer; vertical-align: bottom; }
thead th[aria-sort]::after { content: " \\25B2"; } thead th[aria-sort=descending]::after { content: " \\25BC"; }
td[title] { cursor: help; } p, li { max-width: 60rem; }
"""
# Sorts the rows of a table by a column: at a click on its head, or as the address says: #sort=TABLE,COLUMN.
SCRIPT = """
function sort(head, down) {
  const table = head.closest('table'), column = head.cellIndex, body = table.tBodies[0];
  const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const order = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === '' || y === '') return (x === '') - (y === '');
    const difference = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return down ? -difference : difference;
  };
  for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  body.append(...[...body.rows].sort(order));
}
for (const head of document.querySelectorAll('thead th'))
  head.addEventListener('click', () => sort(head, head.getAttribute('aria-sort') === 'ascending'));
const asked = /^#sort=(\\d+),(\\d+)$/.exec(location.hash);
if (asked) sort(document.querySelectorAll('table')[asked[1]].tHead.rows[0].cells[asked[2]], false);
"""
HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
# Nothing is loaded, and no script runs but the one above, whatever a name holds.
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{HASH}'"


def page(experiments: Sequence[Measured], made: str) -> Iterator[str]:
    """The page, in pieces.

    Args:
        experiments: what was measured; those with several datasets or networks give several tables.
        made: on which machine and day, for the reader.
    """
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>The arena</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>The arena</h1>\n"
        "<p>Each cell is the accuracy on clean test images, in per cent, of networks trained in the way of the column "
        "on images with the noise of the row. The lower, the better the noise protects against that training. Colour "
        "goes from dark (nothing learnt) to light (as from clean images). Point at a cell for its interval, its number "
        "of seeds and its protection; click a column's head to sort by it.</p>\n"
        "<p>Noises are ranked by their strongest trainer, the highest of the row: someone who wants to learn from the "
        "images chooses it. Its estimate takes off what choosing the highest of several measured means adds, by a "
        f"bootstrap over the seeds, and has a {100 * LEVEL:.0f} % interval. A noise without all trainers has no "
        f"rank yet.</p>\n<p>{text(made)}</p>\n"
    )
    for experiment in experiments:
        yield from _experiment(experiment)
    yield f"<script>{SCRIPT}</script>\n</body>\n</html>\n"


def _experiment(found: Measured) -> Iterator[str]:
    yield f"<h2>{text(found.name)}</h2>\n"
    if found.finished < found.planned:
        yield f"<p><strong>{found.finished} of {found.planned} victims are finished.</strong></p>\n"
    for (dataset, network, protected), rows in grouped(found.table, BLOCK):
        yield f"<h3>{text(dataset)}, {text(network)}, {protected} % protected</h3>\n"
        yield from _table(found, dataset, rows)
    yield "<ul>\n" + "".join(f"<li>{text(line)}</li>\n" for line in found.budgets) + "</ul>\n"


def _table(found: Measured, dataset: str, rows: pd.DataFrame) -> Iterator[str]:
    trainers = list(dict.fromkeys(trainer(*way) for way in in_order(rows, ["countermeasure", "radius"])))
    of_clean = {row["trainer"]: row["mean"] for row in records(rows[rows["noise"] == CLEAN])}
    heads = ["rank", "noise", "highest", "by", "mean", *trainers, "passes", "PSNR, dB", "SSIM"]
    yield '<div class="wide"><table>\n<thead><tr>'
    yield "".join(f'<th scope="col">{text(head)}</th>' for head in heads)
    yield "</tr></thead>\n<tbody>\n"
    for noise, of_noise in rows.groupby("noise", sort=False):
        by_trainer = {row["trainer"]: row for row in records(of_noise)}
        first = next(iter(by_trainer.values()))
        whole = by_trainer.keys() >= set(trainers)  # otherwise its strongest trainer may be missing
        rank = str(first["rank"]) if whole and not pd.isna(first["rank"]) else ""
        highest = _number(first["highest"]) + _interval(first["highest_low"], first["highest_high"])
        yield f"<tr><td>{rank}</td><td>{text(str(noise))}</td>{_cell(first['highest'], highest)}"
        yield f'<td class="name">{text(first["highest_by"])}</td>'
        yield _cell(first["mean_mean"], _number(first["mean_mean"]))
        chance = 100 / found.classes[dataset]
        for name in trainers:
            yield _accuracy(by_trainer.get(name), of_clean.get(name, math.nan), chance)
        yield from (_of_noise(values, (dataset, str(noise)), form) for values, form in _forms(found))
        yield "</tr>\n"
    yield "</tbody>\n</table></div>\n"


def _forms(found: Measured) -> list[tuple[ByNoise, str]]:
    return [(found.passes, ",.0f"), (found.psnr, ".1f"), (found.ssim, ".3f")]


def _accuracy(row: dict[str, Any] | None, clean: float, chance: float) -> str:
    """The cell of a way of training, with all that is known of it."""
    if row is None:
        return "<td></td>"
    mean, sd, n = row["mean"], row["sd"], row["n"]
    known = [f"{mean:.1f} %" if math.isnan(sd) else f"{mean:.1f} ± {sd:.1f} %", f"{n} seed{'s' * (n > 1)}"]
    if n > 1:
        half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd / n**0.5
        known.append(f"{100 * LEVEL:.0f} % interval {mean - half:.1f} to {mean + half:.1f}")
    learnt = clean - chance > NEAR_CHANCE  # also false without clean images
    if learnt and row["noise"] != CLEAN:
        known.append(f"protection {100 * (clean - mean) / (clean - chance):.0f} %")
    share = min(1.0, max(0.0, (mean - chance) / (clean - chance))) if learnt else 1.0
    style = f"background:hsl(210 45% {55 + 42 * share:.0f}%)"
    return f'<td data-value="{mean:.4f}" style="{style}" title="{text("; ".join(known))}">{_number(mean)}</td>'


def _of_noise(values: ByNoise, key: tuple[str, str], form: str) -> str:
    return _cell(values[key], format(values[key], form)) if key in values else "<td></td>"


def _cell(value: float, shown: str) -> str:
    return f'<td data-value="{value:.6g}">{shown}</td>'


def _number(value: float) -> str:
    return f"{value:.1f}"


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f" [{low:.0f}, {high:.0f}]"


def text(value: str) -> str:
    """Text for a page: without meaning in HTML, and in one line."""
    return html.escape(printable(value))
