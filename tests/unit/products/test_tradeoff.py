"""Protection against cost: what the table says about made-up measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unlearnable import files
from unlearnable.products.product import FigureFiles, Inputs, TableFiles
from unlearnable.products.tradeoff_figure import figure
from unlearnable.products.tradeoff_table import table

from ..measured import figure_files, given, markdown_rows, table_files

Metrics = dict[str, tuple[list[Any], list[Path]]]  # cells and metrics by the names of Given
PASSES = {"tap": (100, 300), "rem": (9_000, 1_000), "rem-fast": (700, 300)}  # of the source model, of the noise
ACCURACY = {"clean": 0.8, "tap": 0.7, "rem": 0.3, "rem-fast": 0.35, "ops": 0.2}


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    """Four noises and clean images, two seeds and two radii, as the stages write them."""

    def written(name: str, content: dict[str, Any]) -> Path:
        path = tmp_path / f"{name}.json"
        files.write_json(path, content)
        return path

    def cell(method: str, seed: int, **more: Any) -> dict[str, Any]:
        rho_u = 0 if method in ("clean", "ops") else 8
        return {"dataset": "d", "method": method, "rho_u": rho_u, "rho_a": 0, "seed": seed, **more}

    stages: Metrics = {name: ([], []) for name in ("sources", "noises", "source_of_noise", "victims")}
    for seed in (0, 1):
        for method, (source, noise) in PASSES.items():
            of_source = cell("clean" if method == "tap" else method, seed)
            for stage, its_cell, passes in (("sources", of_source, source), ("noises", cell(method, seed), noise)):
                stages[stage][0].append(its_cell)
                stages[stage][1].append(written(f"{stage}-{method}-{seed}", {"passes": passes + 2 * seed}))
            stages["source_of_noise"][0].append(of_source)
        stages["source_of_noise"][0].append(None)  # OPS has neither a source model nor passes
        stages["noises"][0].append(cell("ops", seed))
        stages["noises"][1].append(written(f"noise-ops-{seed}", {"passes": 0}))
        for method, accuracy in ACCURACY.items():
            for radius in (0, 4):
                share = 0 if method == "clean" else 100
                more = {
                    "network": "n",
                    "countermeasure": "none",
                    "radius": radius,
                    "protected": share,
                    "victim_seed": seed,
                }
                stages["victims"][0].append(cell(method, seed, **more))
                content = {"test_accuracy": accuracy + 0.02 * seed - 0.01 * radius}
                stages["victims"][1].append(written(f"victim-{method}-{seed}-{radius}", content))
    return stages


def tradeoff_table(metrics: Metrics, folder: Path) -> TableFiles:
    cells = {name: of_kind for name, (of_kind, _) in metrics.items()}
    inputs, out = inputs_of(metrics), table_files(folder)
    table.write(given("tradeoff-table", {"decimals": 1}, **cells), inputs, out)
    return out


def tradeoff_figure(metrics: Metrics, folder: Path, name: str = "t") -> FigureFiles:
    cells = {name: of_kind for name, (of_kind, _) in metrics.items()}
    inputs, out = inputs_of(metrics), figure_files(folder, name)
    figure.write(given("tradeoff-figure", {"width": 6.0, "dpi": 80}, **cells), inputs, out)
    return out


def inputs_of(metrics: Metrics) -> Inputs:
    return Inputs(**{name: metrics[name][1] for name in ("sources", "noises", "victims")})


def test_the_table_sets_accuracy_beside_passes_the_costliest_first(metrics: Metrics, tmp_path: Path) -> None:
    out = tradeoff_table(metrics, tmp_path)
    rows = markdown_rows(out.markdown)
    assert rows[0] == ["noise", "passes", "times fewer", "standard", "adversarial, 4/255"]
    assert rows[1:] == [
        ["REM 8", "10,002", "1.0", "31.0 ± 1.4 (2)", "27.0 ± 1.4 (2)"],
        ["REM-FAST 8", "1,002", "10.0", "36.0 ± 1.4 (2)", "32.0 ± 1.4 (2)"],
        ["TAP 8", "402", "24.9", "71.0 ± 1.4 (2)", "67.0 ± 1.4 (2)"],
        ["OPS", "0", "", "21.0 ± 1.4 (2)", "17.0 ± 1.4 (2)"],
        ["clean", "0", "", "81.0 ± 1.4 (2)", "77.0 ± 1.4 (2)"],
    ]
    numbers = pd.read_csv(out.csv).set_index(["noise", "radius"])
    assert numbers.loc[("REM 8", 4), "accuracy_mean"] == pytest.approx(27)
    assert numbers.loc[("TAP 8", 0), "passes"] == 402


def test_the_figure_is_the_same_file_each_time(metrics: Metrics, tmp_path: Path) -> None:
    written = []
    for run in range(2):
        out = tradeoff_figure(metrics, tmp_path, str(run))
        written.append([path.read_bytes() for path in (out.pdf, out.svg, out.png)])
    assert written[0] == written[1]
    for noise in ("REM 8", "REM-FAST 8", "TAP 8", "OPS", "clean"):
        assert noise.encode() in written[0][1]  # the SVG names it


def test_countermeasures_have_rows_of_their_own(metrics: Metrics, tmp_path: Path) -> None:
    cells, paths = metrics["victims"]
    gray = [cell | {"countermeasure": "gray"} for cell in cells if cell["radius"] == 0]
    chosen = [path for cell, path in zip(cells, paths, strict=True) if cell["radius"] == 0]
    more: Metrics = metrics | {"victims": ([*cells, *gray], [*paths, *chosen])}
    numbers = pd.read_csv(tradeoff_table(more, tmp_path).csv)
    assert numbers.groupby("countermeasure").size().to_dict() == {"none": 10, "gray": 5}
    assert tradeoff_figure(more, tmp_path).svg.read_text().count("<!-- gray -->") == 1  # not combined with radius 4
