"""The page of an audit needs nothing else, and shows whatever is in names as text."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unlearnable.owners import report
from unlearnable.owners.changes import Changes, measured
from unlearnable.owners.findings import Row
from unlearnable.owners.pairs import Audited, audited
from unlearnable.owners.scan import scan
from unlearnable.owners.structure import Fault

from .test_pairs import write

MARKUP = "<script>alert(1)<&\"' onerror="
ROWS = [
    Row("standard training", 78.0, 31.0, 69.4, 55.0, 80.0, 3, "protected", "protected against X: 31 % of 78 %"),
    Row("colour histogram", 45.0, 44.0, None, None, None, 1, "", ""),
]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, whole: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said: list[str] = []
        self.feed(whole)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def images(folder: Path, label: str) -> tuple[Audited, Changes]:
    for number in range(6):
        for kind, noise in (("photos", 0), ("release", 8)):
            write(folder / kind / label / f"{number} {MARKUP}.png", number, noise)
            write(folder / kind / "dog" / f"{number}.png", 100 + number, noise)
    found = audited(scan(folder / "photos"), scan(folder / "release"))
    found.left_out.append(Fault(f"originals/{MARKUP}.heic", f"is {MARKUP}"))
    return found, measured(found.train, folder / "release", folder / "photos")


@pytest.fixture
def whole(tmp_path: Path) -> str:
    found, changes = images(tmp_path, MARKUP)
    pieces = report.page(MARKUP, ROWS, found, changes, tmp_path / "release", tmp_path / "photos")
    return "".join(pieces)


def test_markup_in_names_is_text(whole: str) -> None:
    page = Page(whole)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    said = "".join(page.said)
    assert f"Audit of {MARKUP}" in said
    assert f"originals/{MARKUP}.heic: is {MARKUP}" in said
    assert re.search(re.escape(f"{MARKUP}: {MARKUP}/") + r"\d " + re.escape(f"{MARKUP}.png"), said)


def test_nothing_is_loaded(whole: str) -> None:
    addresses = [value for name, value in Page(whole).attributes if name in ("src", "href", "data", "srcset")]
    assert len(addresses) == 2 * 3  # of either class the original, the released image and the change
    assert all(value is not None and value.startswith("data:image/png;base64,") for value in addresses)
    assert "url(" not in whole
    assert "@import" not in whole


def test_images_are_shown_as_they_are(whole: str) -> None:
    shown = [value.partition(",")[2] for name, value in Page(whole).attributes if name == "src" and value]
    decoded = (Image.open(io.BytesIO(base64.b64decode(each))) for each in shown[:3])
    before, after, change = (np.asarray(image).astype(int) for image in decoded)
    assert np.abs(after - before).max() == 8
    assert np.array_equal(change, 127 + 15 * (after - before))


def test_numbers_and_the_verdict_are_there(whole: str) -> None:
    said = " ".join("".join(Page(whole).said).split())
    assert "Protected against all 1 ways of training that were tried." in said
    assert "69 [55, 80]" in said
    assert "from 0 to 8 of 255 grey levels" in said


def test_of_large_images_the_centre_is_shown() -> None:
    image = np.zeros((300, 1000, 3), np.uint8)
    image[150, 500] = 1
    assert report.centre(image).shape == (256, 256, 3)
    assert report.centre(image)[128, 128, 0] == 1


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_shows_it(whole: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(whole, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [str(CHROMIUM), *options, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert "Audit of &lt;script&gt;alert(1)" in done.stdout
    assert done.stdout.count("data:image/png") == 6
