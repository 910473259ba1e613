"""Tables of made-up measurements: the numbers, the ranks, and what stands beside them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unlearnable import files, registry
from unlearnable.products.cost_table import table as cost_table
from unlearnable.products.frames import by_noise_seed, count_of_seeds, in_order, labels, with_clean_at_every_share
from unlearnable.products.product import Inputs
from unlearnable.products.table import save_table

from ..measured import Cell, given, markdown_rows, table_files, typed, victim, write_metrics

PRODUCTS = Path(cost_table.__file__).parents[1]
Metrics = dict[str, tuple[list[Cell], list[Path]]]  # by the names of Given


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[list[list[str]], pd.DataFrame, str]]:
    """``make(table, cells, measure, **style)``: the Markdown's header and rows, the CSV, and the Markdown's caption."""

    def made(
        table: str, cells: list[Cell], measure: Callable[[Cell], dict[str, Any]], **style: Any
    ) -> tuple[list[list[str]], pd.DataFrame, str]:
        inputs, out = Inputs(victims=write_metrics(tmp_path, cells, measure)), table_files(tmp_path)
        registry.load_module("products", table).write(given(table, style, victims=cells), inputs, out)
        return markdown_rows(out.markdown), pd.read_csv(out.csv), out.markdown.read_text().partition("\n")[0]

    return made


def seeded(*cells: Cell) -> list[Cell]:
    return [cell | {"seed": seed, "victim_seed": seed} for cell in cells for seed in (0, 1)]


# ---- labels and order


def test_labels_name_the_radii_that_a_method_has() -> None:
    cells = [victim("em"), victim("rem"), victim("rem", rho_a=0), victim("ops"), victim("clean")]
    assert labels(typed([*cells, victim("clean", protected=40)])) == [
        "EM 8",
        "REM 8-4",
        "REM 8-0",
        "OPS",
        "clean",
        "clean rest",
    ]


def test_names_keep_their_order_and_numbers_grow() -> None:
    data = pd.DataFrame({"name": ["b", "a", "b", "a"], "size": [10, 2, 2, 10]})
    assert in_order(data, ["name", "size"]) == [("b", 2), ("b", 10), ("a", 2), ("a", 10)]


def test_the_clean_reference_is_in_the_group_of_every_share_and_the_clean_rest_in_its_own() -> None:
    cells = [victim("clean"), victim("rem", protected=40), victim("rem"), victim("clean", protected=40)]
    data = with_clean_at_every_share(
        pd.DataFrame([c | {"label": x} for c, x in zip(cells, labels(typed(cells)), strict=True)])
    )
    found = sorted(zip(data["label"], data["protected"], strict=True))
    assert found == [("REM 8-4", 40), ("REM 8-4", 100), ("clean", 40), ("clean", 100), ("clean rest", 40)]


# ---- victims of one noise


def crossed(method: str, **axes: Any) -> list[Cell]:
    """Three victims of each of two noises; clean images have one for each victim seed."""
    if method == "clean":
        return [victim("clean", own, **axes) for own in range(3)]
    return [victim(method, seed, victim_seed=own, **axes) for seed in (0, 1) for own in range(3)]


def test_victims_of_one_noise_seed_become_one_row_with_their_means() -> None:
    cells = [*crossed("clean"), *crossed("em"), victim("em", 0, radius=4, victim_seed=7)]
    data = pd.DataFrame(cells).assign(label=labels(typed(cells)))
    data = data.assign(
        accuracy=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        step=range(10),
        attack=None,
        robust=[math.nan, *range(1, 10)],
        device="d",
    )
    found = by_noise_seed(data)
    assert found["accuracy"].tolist() == [0, 1, 2, 4, 7, 9]
    assert found["seed"].tolist() == [0, 1, 2, 0, 1, 0]
    assert found["radius"].tolist() == [0, 0, 0, 0, 0, 4]
    assert (found["robust"].isna().tolist(), found["robust"].iloc[3]) == ([True] + [False] * 5, 4)
    assert found["attack"].isna().all()
    assert (found["device"] == "d").all()
    assert list(found) == [name for name in data if name != "victim_seed"]
    assert count_of_seeds(data) == 2
    assert count_of_seeds(data[data["label"] == "clean"]) == 3


def test_a_mean_of_victims_one_of_which_was_not_measured_is_not_a_number() -> None:
    cells = crossed("em")
    data = pd.DataFrame(cells).assign(label="EM 8", accuracy=[1, math.nan, 3, 4, 5, 6])
    assert by_noise_seed(data)["accuracy"].isna().tolist() == [True, False]


def test_without_crossed_seeds_every_row_stays_as_it_is() -> None:
    data = pd.DataFrame([victim("em", seed) for seed in (2, 0)]).assign(label="EM 8", best_step=[5, 7])
    pd.testing.assert_frame_equal(by_noise_seed(data), data.drop(columns="victim_seed"))


def test_histories_are_averaged_step_by_step() -> None:
    rows = [cell | {"step": step, "loss": cell["victim_seed"] + step} for cell in crossed("em") for step in (3, 6)]
    found = by_noise_seed(pd.DataFrame(rows).assign(label="EM 8"), "step")
    assert found[["seed", "step", "loss"]].to_numpy().tolist() == [[0, 3, 4], [0, 6, 7], [1, 3, 4], [1, 6, 7]]


@pytest.mark.parametrize("table", ["accuracy-table", "early-stopping-table", "ranking-table"])
def test_tables_count_noises_and_not_their_victims(make: Callable[..., Any], table: str) -> None:
    accuracy = {(0, 0): 0.1, (0, 1): 0.2, (0, 2): 0.3, (1, 0): 0.4, (1, 1): 0.5, (1, 2): 0.3}
    cells = [*crossed("clean"), *crossed("em")]

    def measure(cell: Cell) -> dict[str, Any]:
        value = 0.9 if cell["method"] == "clean" else accuracy[cell["seed"], cell["victim_seed"]]
        return {"test_accuracy": value, "training_passes": 1}

    _, csv, _ = make(table, cells, measure, decimals=0)
    csv = csv.set_index("noise")
    mean, sd = (next(name for name in csv if name.endswith(f"{of}")) for of in ("mean", "sd"))
    assert csv.loc["EM 8", "n"] == 2
    assert csv.loc["clean", "n"] == 3
    assert csv.loc["EM 8", mean] == pytest.approx(30)
    assert csv.loc["EM 8", sd] == pytest.approx(10 * math.sqrt(2))


# ---- accuracy


def accuracies(values: dict[str, tuple[float, float]]) -> Callable[[Cell], dict[str, Any]]:
    """Test accuracies of a method's two seeds."""
    return lambda cell: {"test_accuracy": values[cell["method"]][cell["seed"]]}


def test_the_accuracy_table_sets_published_numbers_beside_measured_ones(make: Callable[..., Any]) -> None:
    cells = seeded(victim("clean", radius=4), victim("rem", radius=4), victim("em", radius=4))
    values = {"clean": (0.89, 0.90), "rem": (0.51, 0.53), "em": (0.8, 0.8)}
    rows, csv, caption = make("accuracy-table", cells, accuracies(values), decimals=2)
    assert rows == [
        ["victim's radius, 1/255", "clean", "REM 8-4", "EM 8"],
        [
            *("4", "89.50 ± 0.71 (2); published 89.51, -0.01"),
            *("52.00 ± 1.41 (2); published 48.16, +3.84 !", "80.00 ± 0.00 (2)"),
        ],
    ]
    csv = csv.set_index("noise")
    assert csv.loc["REM 8-4", "published"] == 48.16
    assert csv.loc["REM 8-4", "difference"] == pytest.approx(3.84)
    assert csv["beyond_3_points"].tolist()[:2] == [False, True]
    assert csv.loc["EM 8", ["published", "difference", "beyond_3_points"]].isna().all()
    assert csv.loc["REM 8-4", "test_accuracy_sd"] == pytest.approx(math.sqrt(2))
    assert "auto_attack_accuracy_mean" not in csv
    assert "exclamation mark: more than 3" in caption
    assert "as the CUDA paper (CVPR 2023) repeats them" in caption


def test_a_difference_of_less_than_three_points_has_no_mark_and_no_explanation(make: Callable[..., Any]) -> None:
    cells = seeded(victim("rem", radius=4))
    rows, _, caption = make("accuracy-table", cells, accuracies({"rem": (0.511, 0.511)}), decimals=1)
    assert rows[1][1] == "51.1 ± 0.0 (2); published 48.16, +2.9"
    assert "exclamation" not in caption


def test_one_seed_with_a_smaller_budget_and_nothing_published_is_shown(make: Callable[..., Any]) -> None:
    cells = seeded(victim("rem", radius=4))
    short = {0: 440_000, 1: 4_400}
    rows, csv, caption = make(
        "accuracy-table", cells, lambda cell: {"training_passes": short[cell["seed"]]}, decimals=1
    )
    assert rows[1][1] == "50.0 ± 0.0 (2)"
    assert csv["published"].isna().all()
    assert "ublished" not in caption


def test_a_miniature_has_no_published_numbers(make: Callable[..., Any]) -> None:
    cells = [victim("rem", radius=4, dataset="mini"), victim("clean", radius=4, dataset="mini")]
    rows, csv, caption = make("accuracy-table", cells, lambda cell: {}, decimals=1)
    assert rows[1][1:] == ["50.0 (1)", "50.0 (1)"]
    assert csv["published"].isna().all()
    assert "ublished" not in caption


def test_shares_have_rows_and_the_clean_rest_a_column(make: Callable[..., Any]) -> None:
    cells = [victim("clean"), victim("rem"), victim("rem", protected=20), victim("clean", protected=20)]
    rows, _, _ = make("accuracy-table", cells, lambda cell: {"training_passes": 1}, decimals=0)
    assert rows == [
        ["protected, %", "victim's radius, 1/255", "clean", "REM 8-4", "clean rest"],
        ["20", "0", "", "50 (1)", "50 (1)"],
        ["100", "0", "50 (1)", "50 (1)", ""],
    ]


def test_countermeasures_have_rows_and_the_caption_says_what_they_act_on(make: Callable[..., Any]) -> None:
    cells = [victim("rem"), victim("rem", countermeasure="gray"), victim("rem", countermeasure="trades", radius=8)]
    rows, _, caption = make("accuracy-table", cells, lambda cell: {"training_passes": 1}, decimals=0)
    assert [row[:2] for row in rows[1:]] == [["none", "0"], ["gray", "0"], ["trades", "8"]]
    assert "Counter-measures act on the training images only" in caption
    _, _, plain = make("accuracy-table", cells[:1], lambda cell: {}, decimals=0)
    assert "ounter-measure" not in plain


def test_auto_attack_has_its_columns_where_it_was_asked_for(make: Callable[..., Any]) -> None:
    _, csv, _ = make("accuracy-table", [victim("rem")], lambda cell: {"auto_attack_accuracy": 0.25}, decimals=0)
    assert csv["auto_attack_accuracy_mean"].tolist() == [25]


def test_a_table_with_auto_attack_says_which_attacks_it_lacks_and_others_do_not(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    cells = [victim("rem", radius=4), victim("em", radius=4)]
    said = "lacks targeted APGD and FAB, so it is an upper bound and not comparable with RobustBench."
    for measured in (None, 0.25):  # of the one victim; the other's was not asked for

        def measure(cell: Cell, measured: float | None = measured) -> dict[str, Any]:
            return {"auto_attack_accuracy": measured if cell["method"] == "rem" else None}

        _, _, caption = make("accuracy-table", cells, measure, decimals=0)
        assert (said in caption) == (measured is not None)
        assert (said in table_files(tmp_path).latex.read_text()) == (measured is not None)


@pytest.mark.parametrize("product", registry.available("products"))
def test_the_report_says_which_attacks_auto_attack_lacks_where_a_product_shows_it(product: str) -> None:
    folder = PRODUCTS / product.replace("-", "_")
    code = "".join(path.read_text() for path in sorted(folder.glob("*.py")))
    caption = " ".join((folder / "caption.rst").read_text().split())
    assert ("auto_attack" in code) == ("lacks targeted APGD and FAB" in caption)


# ---- early stopping


def test_the_early_stopping_table_shows_what_the_best_step_gains(make: Callable[..., Any]) -> None:
    measured = {0: (0.30, 0.50, 1_000), 1: (0.34, 0.42, 4_000)}

    def measure(cell: Cell) -> dict[str, Any]:
        last, best, step = measured[cell["seed"]]
        return {"test_accuracy": last, "best_test_accuracy": best, "best_step": step}

    rows, csv, _ = make("early-stopping-table", seeded(victim("rem", radius=4)), measure, decimals=1)
    assert rows == [
        ["victim's radius, 1/255", "noise", "last", "best (peeking)", "step of best", "gain of best, points"],
        ["4", "REM 8-4", "32.0 ± 2.8 (2)", "46.0 ± 5.7", "2,500", "14.0 ± 8.5"],
    ]
    assert csv.loc[0, "gain_mean"] == pytest.approx(14)
    assert csv.loc[0, "gain_sd"] == pytest.approx(12 / math.sqrt(2))


def test_the_early_stopping_table_shows_the_step_that_other_images_choose(make: Callable[..., Any]) -> None:
    def measure(cell: Cell) -> dict[str, Any]:
        return {"stopped_test_accuracy": 0.4 + 0.02 * cell["seed"]}

    rows, csv, _ = make("early-stopping-table", seeded(victim("rem", radius=4)), measure, decimals=1)
    assert rows[0][2:5] == ["last", "stopped", "best (peeking)"]
    assert rows[1][3] == "41.0 ± 1.4"
    assert csv.loc[0, "stopped_mean"] == pytest.approx(41)


# ---- ranking

WAYS: list[dict[str, Any]] = [{}, {"radius": 4}, {"countermeasure": "gray"}]
RANKED = {  # standard, adversarial, gray
    "clean": (0.94, 0.90, 0.92),
    "em": (0.10, 0.80, 0.20),
    "rem": (0.20, 0.40, 0.90),
    "ops": (0.80, 0.10, 0.30),
    "tap-fu2022": (0.20, 0.75, 0.30),
}


def ranked_cells() -> list[Cell]:
    return [victim(method, seed, **way) for method in RANKED for way in WAYS for seed in (0, 1)]


def of_way(cell: Cell) -> dict[str, Any]:
    way = {"radius": cell["radius"]} if cell["radius"] else {"countermeasure": "gray"}
    place = 0 if cell["radius"] == 0 and cell["countermeasure"] == "none" else WAYS.index(way)
    return {"test_accuracy": RANKED[cell["method"]][place] + 0.01 * cell["seed"]}


def test_noises_are_ranked_by_their_worst_case_then_by_their_mean(make: Callable[..., Any]) -> None:
    rows, csv, _ = make("ranking-table", ranked_cells(), of_way, decimals=1)
    assert rows[0] == ["rank", "noise", "highest", "by", "mean", "standard", "adversarial 4/255", "gray"]
    assert [[row[0], row[1], row[2].split(" [")[0], *row[3:5]] for row in rows[1:]] == [
        ["1", "TAP-FU2022 8", "75.5", "adversarial 4/255 (100 %)", "42.2 ± 0.7"],
        ["2", "EM 8", "80.5", "adversarial 4/255 (100 %)", "37.2 ± 0.7"],
        ["3", "OPS", "80.5", "standard (100 %)", "40.5 ± 0.7"],
        ["4", "REM 8-4", "90.5", "gray (100 %)", "50.5 ± 0.7"],
        ["", "clean", "94.5", "standard (100 %)", "92.5 ± 0.7"],
    ]
    assert rows[4][5:] == ["20.5 ± 0.7, -74.0", "40.5 ± 0.7, -50.0", "90.5 ± 0.7, -2.0"]
    assert rows[5][5:] == ["94.5 ± 0.7", "90.5 ± 0.7", "92.5 ± 0.7"]
    one = csv[(csv["noise"] == "EM 8") & (csv["trainer"] == "adversarial 4/255")].iloc[0]
    assert (one["rank"], one["n"]) == (2, 2)
    assert one[["mean", "sd", "gap"]].tolist() == pytest.approx([80.5, math.sqrt(0.5), -10])
    assert csv.loc[csv["noise"] == "clean", "rank"].isna().all()


def test_trainers_with_fewer_seeds_are_ranked_with_the_others(make: Callable[..., Any]) -> None:
    """The spread of the mean over trainers is that of the seeds that all have."""
    ways: list[tuple[dict[str, Any], range]] = [({}, range(4)), ({"countermeasure": "gray"}, range(2))]
    cells = [victim("em", seed, **way) for way, seeds in ways for seed in seeds]

    def measure(cell: Cell) -> dict[str, Any]:
        base = 0.2 if cell["countermeasure"] == "gray" else 0.5
        return {"test_accuracy": base + 0.02 * cell["seed"]}

    rows, csv, caption = make("ranking-table", cells, measure, decimals=1)
    assert rows[1][3:5] == ["standard (100 %)", "37.0 ± 1.4"]
    assert csv["n"].tolist() == [4, 2]
    assert csv["highest_low"].iloc[0] < 53 < csv["highest_high"].iloc[0]
    assert "2 to 4 seeds" in caption


def test_each_dataset_has_its_own_ranks(make: Callable[..., Any]) -> None:
    cells = [victim(method, dataset=dataset) for dataset in ("cifar10", "svhn") for method in ("em", "rem", "clean")]
    value = {("cifar10", "em"): 0.1, ("cifar10", "rem"): 0.2, ("svhn", "em"): 0.3, ("svhn", "rem"): 0.2}

    def measure(cell: Cell) -> dict[str, Any]:
        return {"test_accuracy": value.get((cell["dataset"], cell["method"]), 0.9)}

    rows, _, _ = make("ranking-table", cells, measure, decimals=0)
    assert [row[:3] for row in rows[1:]] == [
        *(["cifar10", "1", "EM 8"], ["cifar10", "2", "REM 8-4"], ["cifar10", "", "clean"]),
        *(["svhn", "1", "REM 8-4"], ["svhn", "2", "EM 8"], ["svhn", "", "clean"]),
    ]


def test_without_clean_images_there_is_no_gap(make: Callable[..., Any]) -> None:
    rows, csv, _ = make("ranking-table", [victim("rem")], lambda cell: {}, decimals=0)
    assert rows[1] == ["1", "REM 8-4", "50", "standard", "50", "50"]
    assert csv["gap"].isna().all()


# ---- cost


def test_the_cost_table_sets_published_hours_beside_source_model_and_noise_together(tmp_path: Path) -> None:
    def noise(method: str, seed: int) -> Cell:
        return {key: victim(method, seed)[key] for key in ("dataset", "method", "rho_u", "rho_a", "seed")}

    sources = [noise("rem", 0), noise("rem", 1), noise("clean", 0), noise("clean", 1), noise("em", 0)]
    noises = [noise("rem", 0), noise("rem", 1), noise("tap-fu2022", 0), noise("tap-fu2022", 1), noise("em", 0)]
    noises.append(noise("ops", 0))
    cost = {"rem": (2_805_000, 7_000), "clean": (40_000, 3_000), "em": (55_000, 50)}
    costs = {"rem": (214_500, 200), "tap-fu2022": (97_750, 100), "em": (3_910, 20), "ops": (0, 36)}

    def written(stage: str, cells: list[Cell], of: dict[str, tuple[int, int]]) -> tuple[list[Cell], list[Path]]:
        (tmp_path / stage).mkdir()

        def measure(cell: Cell) -> dict[str, Any]:
            passes, seconds = of[cell["method"]]
            return {"passes": passes, "seconds": seconds + 10.0 * cell["seed"]}

        return cells, write_metrics(tmp_path / stage, cells, measure)

    victims = [victim("rem"), victim("rem", countermeasure="gray")]
    metrics = {
        "sources": written("source", sources, cost),
        "noises": written("noise", noises, costs),
        "victims": (victims, write_metrics(tmp_path, victims, lambda cell: {})),
    }
    aligned = [*sources[:2], *sources[2:4], sources[4], None]
    rows, csv = costs_of(tmp_path, metrics, aligned, jobs_of(metrics, tmp_path), decimals=0)
    assert rows[0] == [
        *("stage", "noise", "passes", "seconds", "peak memory, MiB", "job, s", "host memory, MiB"),
        *("hours", "published, hours", "published, on"),
    ]
    together = [row[1:4] + row[7:] for row in rows if row[0] == "source model and noise"]
    assert together == [  # EM of the raw frame was not published, so it is not here
        ["REM 8-4", "3,019,500", "7210 ± 14 (2)", "2", "22.6", "1 Tesla V100, 10 CPU cores"],
        ["TAP-FU2022 8", "137,750", "3110 ± 14 (2)", "0.864", "0.5", "1 Tesla V100, 10 CPU cores"],
        ["OPS", "0", "36 (1)", "0.01", "0.0083", "GeForce RTX 2080 Ti"],
    ]
    assert [row[0] for row in rows if row[0].startswith("victim")] == [
        "victim, none, radius 0",
        "victim, gray, radius 0",
    ]
    csv = csv.set_index(["stage", "noise"])
    assert csv.loc[("source model and noise", "REM 8-4"), "published_hours"] == 22.6
    assert csv["published_hours"].notna().sum() == 3


def test_the_cost_table_holds_what_snakemake_measured_of_the_jobs(tmp_path: Path) -> None:
    cell = {"dataset": "cifar10", "method": "rem", "rho_u": 8, "rho_a": 4, "seed": 0}
    other, source, noise = cell | {"seed": 1}, tmp_path / "source", tmp_path / "noise"
    metrics: Metrics = {
        "sources": ([cell, other], write_metrics(made(source), [cell, other], lambda cell: {"passes": 2_805_000})),
        "noises": ([cell, other], write_metrics(made(noise), [cell, other], lambda cell: {"passes": 214_500})),
    }
    jobs = {
        "sources": [[measured(source / "a", 50, 300)], [measured(source / "b", 70, 500)]],
        "noises": [
            [measured(noise / "a", 5, 30), measured(noise / "b", 7, 20)],
            [measured(noise / "c", 8, "NA"), measured(noise / "d", 6, 90)],
        ],
    }
    rows, csv = costs_of(tmp_path, metrics, [cell, other], jobs, decimals=1)
    of_jobs = {row[0]: row[5:7] for row in rows[1:]}
    assert of_jobs == {
        "source model": ["60.0", "400"],
        "noise": ["13.0", ""],  # of one the memory is unknown
        "source model and noise": ["73.0", ""],
    }
    first = csv.iloc[0]
    assert list(first[["job_seconds", "host_memory_mib"]]) == [60, 400]


def made(folder: Path) -> Path:
    """The folder, made."""
    folder.mkdir()
    return folder


def measured(path: Path, seconds: float, memory: float | str) -> str:
    """A file with what Snakemake measured of a job."""
    path.write_text(json.dumps({"s": seconds, "max_pss": memory, "io_in": "NA"}) + "\n")
    return str(path)


def jobs_of(metrics: Metrics, folder: Path) -> dict[str, Any]:
    """The same measurement for one job of every cell."""
    path = measured(folder / "benchmark.jsonl", 12.5, 100)
    return {stage: [[path] for _ in cells] for stage, (cells, _) in metrics.items()}


def costs_of(
    folder: Path, metrics: Metrics, source_of_noise: list[Cell | None], jobs: dict[str, Any], decimals: int
) -> tuple[list[list[str]], pd.DataFrame]:
    """The cost table's Markdown and CSV."""
    cells = {stage: part[0] for stage, part in metrics.items()}
    about = given("cost-table", {"decimals": decimals}, source_of_noise=source_of_noise, measured=jobs, **cells)
    out = table_files(folder)
    cost_table.write(about, Inputs(**{stage: part[1] for stage, part in metrics.items()}), out)
    return markdown_rows(out.markdown), pd.read_csv(out.csv)


def test_a_cost_table_without_published_noises_has_no_such_columns(tmp_path: Path) -> None:
    cell = {"dataset": "mini", "method": "rem", "rho_u": 8, "rho_a": 4, "seed": 0}
    files.write_json(tmp_path / "m.json", {"passes": 10**7, "seconds": 1.0, "peak_memory_bytes": 1, "device": "cpu"})
    metrics = {stage: ([cell], [tmp_path / "m.json"]) for stage in ("sources", "noises")}
    metrics["perturbed"] = ([cell | {"protected": 100}], [tmp_path / "m.json"])
    rows, _ = costs_of(tmp_path, metrics, [cell], jobs_of(metrics, tmp_path), decimals=0)
    assert "published" not in "".join(rows[0])


# ---- LaTeX


def test_latex_escapes_what_would_not_compile(tmp_path: Path) -> None:
    text = pd.DataFrame({"a & b": ["1 ± 2 !", "100 %", "x_y", r"\end", "{$#^~}"], "<c>|": ['"quoted"'] * 5})
    out = table_files(tmp_path)
    save_table(out, text, text, "Beyond 3 points: !, 5 % & more ± 1")
    tex = out.latex.read_text()
    assert tex.isascii()
    body = tex.replace(r"\textbackslash{}end", "").replace("{!}", "")
    assert r"1 $\pm$ 2 {!}" in tex
    assert r"a \& b" in tex
    assert r"100 \%" in body
    assert r"\{\$\#\textasciicircum{}\textasciitilde{}\}" in tex
    unescaped = re.findall(r"(?<!\\)[%#_^~]", body)
    assert unescaped == []
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1] * 6


@pytest.mark.parametrize(("columns", "scaled"), [(6, False), (7, True)])
def test_a_table_wider_than_a_page_is_scaled_to_it(tmp_path: Path, columns: int, scaled: bool) -> None:
    text = pd.DataFrame([["x"] * columns], columns=list("abcdefg")[:columns])
    out = table_files(tmp_path)
    save_table(out, text, text, "wide")
    tex = out.latex.read_text()
    assert (r"\resizebox{\linewidth}{!}{%" in tex) == scaled
    for opening, closing in (("{", "}"), (r"\begin", r"\end")):
        assert tex.count(opening) == tex.count(closing)
