"""The sheet of strengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

from unlearnable.cli.main import main
from unlearnable.owners.preview import CAPTION, TILE


def test_a_sheet_shows_every_strength(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for number, mode in enumerate(("RGB", "L")):
            path = tmp_path / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            level = 100 + 40 * number + (label == "dog")
            Image.new(mode, (TILE, TILE), level if mode == "L" else (level,) * 3).save(path)
    into = tmp_path / "sheet.png"
    done = CliRunner().invoke(main, ["preview", str(tmp_path / "photos"), "--output", str(into)])
    assert done.exit_code == 0, done.output
    with Image.open(into) as sheet:
        pixels = np.asarray(sheet).astype(int)
    assert pixels.shape == (4 * TILE + CAPTION, 4 * TILE, 3)
    for row in range(4):
        tiles = [pixels[CAPTION + row * TILE :, column * TILE :][:TILE, :TILE] for column in range(4)]
        assert [np.abs(tile - tiles[0]).max() for tile in tiles] == [0, 4, 8, 16]
