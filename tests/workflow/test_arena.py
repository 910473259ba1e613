"""The page of rankings of a real study, whole and half finished."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from unlearnable.tools.arena.__main__ import main
from unlearnable.tools.arena.measured import measured
from unlearnable.tools.plan.reading import read_study

from .pipeline import Project


def test_the_page_has_the_numbers_of_the_ranking(finished: Project, tmp_path: Path) -> None:
    found = measured(read_study(finished.study), "tiny", finished.work)
    assert found is not None
    assert found.finished == found.planned
    ranking = pd.read_csv(finished.work / "results/tables/tiny/ranking.csv")
    assert found.table["mean"].tolist() == pytest.approx(ranking["mean"].tolist())
    noises = set(ranking["noise"]) - {"clean", "clean rest"}
    assert {name for _, name in found.passes} == {name for _, name in found.psnr} == noises
    em = [finished.json(f"results/{stage}/tiny/em/u16-a0/s0/metrics.json") for stage in ("source_model", "noise")]
    assert found.passes["tiny", "EM 16"] == sum(part["passes"] for part in em)
    assert all(0 < value < 1 for value in found.ssim.values())

    page = tmp_path / "arena.html"
    where = ("--configfile", str(finished.study), "--directory", str(finished.work), "--machine", "two cores")
    main([str(page), *where])
    assert "two cores" in page.read_text()
    assert "EM 16" in page.read_text()


def test_half_a_study_shows_what_is_finished_and_nothing_is_one_line(finished: Project, tmp_path: Path) -> None:
    half = finished.copied(tmp_path / "half")
    for file in (half.work / "results/victim/tiny/em").rglob("metrics.json"):
        file.unlink()
    found = measured(read_study(half.study), "tiny", half.work)
    assert found is not None
    assert found.finished < found.planned
    assert "EM 16" not in set(found.table["noise"])
    where = ["--configfile", str(half.study), "--directory", str(tmp_path), "--machine", ""]
    with pytest.raises(SystemExit, match="no victim of tiny is finished; run the study first"):
        main([str(tmp_path / "none.html"), *where])
    assert not (tmp_path / "none.html").exists()
