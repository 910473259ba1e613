"""The page of rankings: its numbers, its colours, what a browser does with it, and names that are markup."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unlearnable.tools.arena.measured import Measured
from unlearnable.tools.arena.page import page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "<script>alert(1)</script>"
BLOCK = {"dataset": "mini", "network": "small-cnn", "protected": 100}


def row(noise: str, rank: int | None, trainer: str, mean: float, sd: float = 1.0, n: int = 6) -> dict[str, Any]:
    way = {"standard": ("none", 0), "op": ("op", 0), "adversarial 8/255": ("none", 8)}[trainer]
    highest = {"highest": 71.0, "highest_low": 68.2, "highest_high": 73.8, "highest_by": "op"}
    measured = {"mean": mean, "sd": sd, "n": n, "mean_mean": 60.0, "mean_sd": 1.0}
    about = {"rank": rank, "noise": noise, "countermeasure": way[0], "radius": way[1], "trainer": trainer}
    return BLOCK | about | measured | highest


def found(**changes: Any) -> Measured:
    rows = [
        *(row("EM 8", 1, "standard", 20.0), row("EM 8", 1, "op", 70.0, n=2)),
        *(row(EVIL, 2, "standard", 30.0, float("nan"), 1), row(EVIL, 2, "op", 9.0)),
        row("PIL 8", 3, "op", 5.0),
        *(row("clean", None, "standard", 90.0), row("clean", None, "op", 80.0)),
    ]
    values: dict[str, Any] = {
        "name": EVIL,
        "table": pd.DataFrame(rows).astype({"rank": "Int64"}),
        "passes": {("mini", "EM 8"): 3150.4},
        "psnr": {("mini", "EM 8"): 25.21},
        "ssim": {("mini", "EM 8"): 0.7182},
        "budgets": ["Victims: 300 SGD steps."],
        "classes": {"mini": 10},
        "finished": 7,
        "planned": 9,
    }
    return Measured(**(values | changes))


class Rows(HTMLParser):
    """The cells of all rows, with their titles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.titles: list[list[str]] = []
        self.tags: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
            self.titles.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.titles[-1].append(dict(attrs).get("title") or "")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and self.tags[-1] in ("td", "th"):
            self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def whole() -> str:
    return "".join(page([found()], "two cores, today"))


def test_each_row_is_a_noise_with_its_rank_its_trainers_and_what_it_costs(whole: str) -> None:
    heads, em, evil, pil, clean = Rows(whole).rows
    assert heads == ["rank", "noise", "highest", "by", "mean", "standard", "op", "passes", "PSNR, dB", "SSIM"]
    assert em == ["1", "EM 8", "71.0 [68, 74]", "op", "60.0", "20.0", "70.0", "3,150", "25.2", "0.718"]
    assert evil[:2] == ["2", EVIL]
    assert pil[:2] == ["", "PIL 8"]  # one of its trainers is missing
    assert pil[5:7] == ["", "5.0"]
    assert clean[0] == ""
    assert "7 of 9 victims are finished" in whole
    assert "Victims: 300 SGD steps." in whole
    assert "are finished" not in "".join(page([found(finished=9)], ""))


def test_pointing_at_a_cell_tells_what_is_known_of_it(whole: str) -> None:
    _, em, evil, _, clean = Rows(whole).titles
    half = 12.706 / 2**0.5  # the t quantile of two seeds
    assert em[6] == f"70.0 ± 1.0 %; 2 seeds; 95 % interval {70 - half:.1f} to {70 + half:.1f}; protection 14 %"
    assert evil[5] == "30.0 %; 1 seed; protection 75 %"
    assert "protection" not in clean[5]


def test_colours_go_from_nothing_learnt_to_as_from_clean_images(whole: str) -> None:
    shades = [float(shade) for shade in re.findall(r"hsl\(210 45% (\d+)%\)", whole)]
    em_standard, em_op, evil_standard, evil_op, pil_op, *of_clean = shades
    assert pil_op == evil_op == 55 < em_standard < evil_standard < em_op < 97
    assert of_clean == [97, 97]


def test_names_are_text_and_only_the_pages_own_script_may_run(whole: str) -> None:
    assert EVIL not in whole
    tags = Rows(whole).tags
    assert tags.count("script") == 1
    assert {"img", "link", "iframe"}.isdisjoint(tags)
    assert "default-src 'none'" in whole


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize(
    ("column", "order"), [(6, ["PIL 8", EVIL, "EM 8", "clean"]), (1, [EVIL, "clean", "EM 8", "PIL 8"])]
)
def test_a_browser_sorts_by_a_column(whole: str, tmp_path: Path, column: int, order: list[str]) -> None:
    path = tmp_path / "arena.html"
    path.write_text(whole, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    address = f"{path.as_uri()}#sort=0,{column}"
    done = subprocess.run([str(CHROMIUM), *options, "--dump-dom", address], capture_output=True, text=True, timeout=120)
    assert [cells[1] for cells in Rows(done.stdout).rows[1:]] == order
