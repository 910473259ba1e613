"""Noises against their references, from made-up measurements: pairs, tests, protection, and what is said of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unlearnable import registry
from unlearnable.products.comparisons import compared
from unlearnable.products.frames import labels, records
from unlearnable.products.product import Comparisons, Inputs

from ..measured import BUDGET, Cell, figure_files, given, markdown_rows, table_files, typed, victim, write_metrics

CLEAN = {"method": "clean"}
EM, REM = {"method": "em", "rho_u": 8}, {"method": "rem", "rho_u": 8, "rho_a": 4}
NOISES: dict[str, dict[str, Any]] = {"clean": CLEAN, "em": EM, "rem": REM}


def primary(noise: str, reference: str, **axes: Any) -> dict[str, Any]:
    at = {"dataset": "cifar10", "network": "resnet18", "protected": 100, "countermeasure": "none", "radius": 0}
    return {"noise": NOISES[noise], "reference": NOISES[reference], **at, **axes}


def comparisons(*references: str, **named: Any) -> dict[str, Any]:
    return {"references": [NOISES[name] for name in references], **named}


def table_of(values: dict[str, list[float]], about: dict[str, Any], cells: list[Cell] | None = None) -> Any:
    """A frame of the comparisons of victims with accuracies in per cent, one a seed, by noise and reference."""
    cells = cells or [victim(method, seed) for method, its in values.items() for seed in range(len(its))]
    data = pd.DataFrame(cells).assign(label=labels(typed(cells)))
    data["test_accuracy"] = [value / 100 for its in values.values() for value in its]
    classes = dict.fromkeys(data["dataset"], 10)
    return compared(data, Comparisons.model_validate(about), classes).set_index(["noise", "reference"])


# ---- numbers


def test_differences_are_those_of_victims_with_the_same_seed() -> None:
    values = {"clean": [80.0, 82.0, 84.0], "em": [75.0, 78.0, 81.0]}
    row = table_of(values, comparisons("clean")).loc[("EM 8", "clean")]
    assert row[["accuracy_mean", "accuracy_n", "reference_mean", "difference"]].tolist() == pytest.approx(
        [78, 3, 82, -4]
    )
    half = 4.302653 / math.sqrt(3)  # t of 2 degrees of freedom; the differences -5, -4, -3 have sd 1
    assert row[["low", "high"]].tolist() == pytest.approx([-4 - half, -4 + half], abs=1e-5)
    assert (row["n"], row["p"], row["primary"]) == (3, 0.25, False)


def test_the_order_of_the_victims_does_not_matter() -> None:
    cells = [victim("em", 0), victim("clean", 1), victim("em", 1), victim("clean", 0)]
    data = pd.DataFrame(cells).assign(label=labels(typed(cells)), test_accuracy=[0.5, 0.9, 0.7, 0.8])
    (row,) = records(compared(data, Comparisons.model_validate(comparisons("clean")), {"cifar10": 10}))
    assert (row["difference"], row["n"]) == (pytest.approx(-25), 2)


def crossed(method: str, noise_seeds: int, victim_seeds: int) -> list[Cell]:
    """All combinations of seeds; victims of clean images have only their own."""
    if method == "clean":
        return [victim("clean", own) for own in range(victim_seeds)]
    return [victim(method, seed, victim_seed=own) for seed in range(noise_seeds) for own in range(victim_seeds)]


def test_victims_of_one_noise_are_averaged_before_any_test() -> None:
    cells = [cell for method in ("em", "rem") for cell in crossed(method, 2, 3)]
    values = {"em": [80.0, 81, 82, 80, 81, 82], "rem": [70.0, 73, 76, 60, 63, 66]}
    row = table_of(values, comparisons("em"), cells).loc[("REM 8-4", "EM 8")]
    means = table_of({"em": [81.0, 81], "rem": [73.0, 63]}, comparisons("em")).loc[("REM 8-4", "EM 8")]
    assert row["n"] == row["accuracy_n"] == row["reference_n"] == 2
    pd.testing.assert_series_equal(row, means)


def test_victims_with_seeds_of_their_own_are_paired_by_both_seeds() -> None:
    cells = [*crossed("em", 2, 2), *crossed("rem", 2, 2)[::-1]]
    values = {"em": [80.0, 90, 70, 60], "rem": [40.0, 50, 80, 70]}
    row = table_of(values, comparisons("em"), cells).loc[("REM 8-4", "EM 8")]
    assert row["difference"] == pytest.approx(((70 - 80 + 80 - 90) / 2 + (50 - 70 + 40 - 60) / 2) / 2)
    assert row["n"] == 2


def test_clean_victims_are_the_reference_of_the_same_victim_seed_of_every_noise() -> None:
    cells = [*crossed("clean", 3, 2), *crossed("em", 3, 2)]
    values = {"clean": [80.0, 90], "em": [70.0, 85, 60, 60, 75, 84]}
    row = table_of(values, comparisons("clean"), cells).loc[("EM 8", "clean")]
    differences = [(-10 - 5) / 2, (-20 - 30) / 2, (-5 - 6) / 2]
    assert row["difference"] == pytest.approx(sum(differences) / 3)
    assert (row["n"], row["accuracy_n"], row["reference_n"], row["p"]) == (3, 3, 2, 0.25)
    one = table_of({"clean": [80.0, 90], "em": [70.0, 85]}, comparisons("clean"), cells[:2] + cells[2:4])
    assert one["n"].tolist() == [1]  # two victims, but one noise
    assert one["p"].tolist() == [1]


def test_the_primary_comparison_keeps_its_p_and_the_others_are_adjusted_among_themselves() -> None:
    agree, mixed = [1.0] * 6, [1.0, 1, 1, 1, 1, -1]
    values = {
        "clean": [80.0] * 6,
        "em": [80 - each for each in agree],
        "rem": [80 - 9 * one - two for one, two in zip(agree, mixed, strict=True)],
    }
    about = comparisons("clean", "em")
    table = table_of(values, about | {"primary": primary("rem", "em")})
    assert table.index.tolist() == [("EM 8", "clean"), ("REM 8-4", "clean"), ("REM 8-4", "EM 8")]
    assert table["primary"].tolist() == [False, False, True]
    assert table["p"].tolist() == [2 / 64] * 3
    assert table["p_holm"].tolist()[:2] == [4 / 64] * 2
    assert math.isnan(table["p_holm"].iloc[2])
    assert table_of(values, about)["p_holm"].tolist() == [6 / 64] * 3
    elsewhere = table_of(values, about | {"primary": primary("rem", "em", radius=4)})
    assert not elsewhere["primary"].any()


def test_two_references_are_compared_once_and_no_noise_with_itself() -> None:
    values = {"clean": [80.0, 81], "em": [70.0, 71], "rem": [60.0, 61]}
    pairs = [("EM 8", "clean"), ("EM 8", "REM 8-4"), ("REM 8-4", "clean")]
    assert table_of(values, comparisons("clean", "rem", "em")).index.tolist() == pairs


def test_protection_is_the_share_of_what_clean_images_teach_beyond_chance() -> None:
    values = {"clean": [70.0, 70], "em": [40.0, 40], "rem": [70.0, 70]}
    assert table_of(values, comparisons("clean"))["protection"].tolist() == [50, 0]


@pytest.mark.parametrize(("clean", "empty"), [(15.0, True), (15.25, False), (5.0, True)])
def test_protection_is_empty_where_clean_images_are_hardly_learned(clean: float, empty: bool) -> None:
    (protection,) = table_of({"clean": [clean] * 2, "em": [10.0] * 2}, comparisons("clean"))["protection"]
    assert math.isnan(protection) == empty


def test_without_clean_images_noises_are_compared_and_protection_is_empty() -> None:
    table = table_of({"em": [70.0, 71], "rem": [60.0, 61]}, comparisons("em"))
    assert table.index.tolist() == [("REM 8-4", "EM 8")]
    assert table["protection"].isna().all()


def test_every_share_is_compared_with_the_clean_images_and_so_is_the_clean_rest() -> None:
    cells = [victim("clean"), victim("em"), victim("em", protected=40), victim("clean", protected=40)]
    table = table_of({"clean": [80.0], "em": [50.0, 70.0], "rest": [75.0]}, comparisons("clean"), cells).reset_index()
    found = table[["protected", "noise", "difference"]].to_numpy().tolist()
    assert found == [
        [40, "EM 8", pytest.approx(-10)],
        [40, "clean rest", pytest.approx(-5)],
        [100, "EM 8", pytest.approx(-30)],
    ]


def test_differences_within_three_points_are_shown_to_be_small() -> None:
    values = {"clean": [80.0, 81, 82, 80], "em": [79.5, 81, 82, 80.5], "rem": [70.0, 71, 82, 70]}
    table = table_of(values, comparisons("clean"))
    assert table.loc[("EM 8", "clean"), "p_equal"] < 0.01
    assert table.loc[("REM 8-4", "clean"), "p_equal"] > 0.9


# ---- table

Made = tuple[list[list[str]], pd.DataFrame, str, str]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """``make(cells, accuracies, **given)``: header and rows, the CSV, the caption, and the text under the table."""

    def made(cells: list[Cell], accuracies: list[float], table: str = "comparison-table", **about: Any) -> Made:
        values = iter(accuracies)
        inputs = Inputs(victims=write_metrics(tmp_path, cells, lambda cell: {"test_accuracy": next(values)}))
        out = table_files(tmp_path)
        registry.load_module("products", table).write(
            given(table, {"decimals": 1}, victims=cells, **about), inputs, out
        )
        parts = out.markdown.read_text().rstrip("\n").split("\n\n")
        tex = out.latex.read_text()
        assert all(note.replace("%", r"\%") in tex.partition(r"\end{tabular}")[2] for note in parts[2:])
        return markdown_rows(out.markdown), pd.read_csv(out.csv), parts[0], "\n".join(parts[2:])

    return made


def cells_of(*methods: str, seeds: int, **axes: Any) -> list[Cell]:
    return [victim(method, seed, **axes) for method in methods for seed in range(seeds)]


def test_the_comparison_table_says_which_p_is_which(make: Callable[..., Made]) -> None:
    cells = cells_of("clean", "em", "rem", seeds=6)
    accuracies = [0.8] * 6 + [0.7, 0.7, 0.7, 0.7, 0.7, 0.69] + [0.6] * 6
    about = comparisons("clean", "em", primary=primary("rem", "em"))
    rows, csv, caption, _ = make(cells, accuracies, comparisons=about)
    header = [
        "victim's radius, 1/255",
        "noise",
        "accuracy, %",
        "reference",
        "reference's, %",
        "difference, points [95 %]",
    ]
    assert rows[0] == [*header, "p", "p, equal within 3", "protection, %"]
    assert [row[6] for row in rows[1:]] == ["0.062 Holm", "0.062 Holm", "0.031 raw, primary"]
    assert rows[1][2:6] == ["69.8 ± 0.4 (6)", "clean", "80.0 ± 0.0 (6)", "-10.2 [-10.6, -9.7]"]
    assert [row[8] for row in rows[1:]] == ["14.5", "28.6", "28.6"]
    assert "The primary comparison is REM 8-4 against EM 8 (standard training, resnet18 on cifar10)" in caption
    assert "its p is raw, those of the 2 others are Holm-adjusted" in caption
    assert csv.loc[csv["primary"], "p_holm"].isna().all()
    assert csv["p_holm"].notna().sum() == 2


def test_a_table_without_a_primary_comparison_says_so(make: Callable[..., Made]) -> None:
    accuracies = [0.8] * 6 + [0.7] * 6
    rows, _, caption, _ = make(cells_of("clean", "em", seeds=6), accuracies, comparisons=comparisons("clean"))
    assert rows[1][6] == "0.031 Holm"
    assert "Holm-adjusted for all 1 comparisons; no comparison was named primary." in caption


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (1, "With 1 seed no p can be below 0.05, whatever the differences are: the smallest possible is 1."),
        (3, "With 3 seeds no p can be below 0.05, whatever the differences are: the smallest possible is 0.25."),
        (5, "It takes at least 6 seeds."),
        (6, "With 6 seeds no Holm-adjusted p of 2 can be below 0.05: the smallest is 2 x 0.031."),
        (7, None),
    ],
)
def test_a_table_says_what_too_few_seeds_rule_out(make: Callable[..., Made], seeds: int, said: str | None) -> None:
    cells = cells_of("clean", "em", "rem", seeds=seeds)
    _, _, caption, _ = make(cells, [0.8, 0.7, 0.6] * seeds, comparisons=comparisons("clean"))
    assert said in caption if said else "can be below" not in caption


def test_victims_of_one_noise_do_not_make_up_for_too_few_noises(make: Callable[..., Made]) -> None:
    cells = [*crossed("clean", 3, 4), *crossed("em", 3, 4)]
    rows, _, caption, _ = make(cells, [0.8] * 4 + [0.7] * 12, comparisons=comparisons("clean"))
    assert "With 3 seeds no p can be below 0.05" in caption
    assert rows[1][2:5] == ["70.0 ± 0.0 (3)", "clean", "80.0 ± 0.0 (4)"]


def test_a_single_seed_has_no_interval_and_no_test_of_equivalence(make: Callable[..., Made]) -> None:
    rows, _, _, _ = make(cells_of("clean", "em", seeds=1), [0.8, 0.8], comparisons=comparisons("clean"))
    assert rows[1][2:] == ["80.0 (1)", "clean", "80.0 (1)", "+0.0", "1 Holm", "", "0.0"]


# ---- the victims' budget

SCHEDULE = "learning rate 0.1, times 0.1 after 40 % and 80 % of the steps; momentum 0.9; weight decay 0.0005"


@pytest.mark.parametrize("table", ["accuracy-table", "comparison-table"])
def test_the_budget_is_under_the_table_with_the_attack_if_there_is_one(make: Callable[..., Made], table: str) -> None:
    for radius in (0, 4):
        cells = cells_of("clean", "em", seeds=2, radius=radius)
        _, _, _, below = make(cells, [0.5] * 4, table, comparisons=comparisons("clean"))
        attack = "; adversarial training with 10 attack steps of 0.2 times the radius" if radius else ""
        assert below == f"Victims: 40,000 SGD steps of 128 images; {SCHEDULE}{attack}."


@pytest.mark.parametrize("table", ["accuracy-table", "comparison-table"])
def test_trainings_that_differ_have_a_line_each(make: Callable[..., Made], table: str) -> None:
    networks = ("resnet18", "small-cnn", "vgg16-bn")
    cells = [cell for network in networks for cell in cells_of("clean", "em", seeds=1, network=network)]
    short = BUDGET | {"steps": 250, "lr_drops": [], "batch_size": 64}
    budgets = {"cifar10": {"resnet18": BUDGET, "small-cnn": short, "vgg16-bn": BUDGET}}
    _, _, _, below = make(cells, [0.5] * 6, table, comparisons=comparisons("clean"), budgets=budgets)
    assert below.splitlines() == [
        f"Victims resnet18 on cifar10, vgg16-bn on cifar10: 40,000 SGD steps of 128 images; {SCHEDULE}.",
        "Victims small-cnn on cifar10: 250 SGD steps of 64 images; learning rate 0.1; momentum 0.9; "
        "weight decay 0.0005.",
    ]


# ---- figure


def drawn(folder: Path, cells: list[Cell], accuracies: list[float], about: dict[str, Any]) -> str:
    """The SVG of a comparison-figure."""
    values, out = iter(accuracies), figure_files(folder)
    inputs = Inputs(victims=write_metrics(folder, cells, lambda cell: {"test_accuracy": next(values)}))
    style = {"width": 6.0, "dpi": 50}
    product = given("comparison-figure", style, victims=cells, comparisons=about)
    registry.load_module("products", "comparison-figure").write(product, inputs, out)
    return out.svg.read_text()


def test_the_forest_plot_has_a_row_for_each_noise_and_trainer_and_marks_the_primary(tmp_path: Path) -> None:
    cells = [cell for radius in (0, 4) for cell in cells_of("clean", "em", "rem", seeds=3, radius=radius)]
    accuracies = [0.8, 0.81, 0.82, 0.7, 0.6, 0.65, 0.5, 0.3, 0.4] * 2
    about = comparisons("clean", "em")
    texts = re.findall(r"<!-- (.*?) -->", drawn(tmp_path, cells, accuracies, about))
    for text, times in {"against clean": 1, "against EM 8": 1, "EM 8": 2, "REM 8-4": 2, "standard": 1}.items():
        assert texts.count(text) == times, text
    assert "adversarial 4/255" in texts
    assert "cifar10, resnet18" in texts
    assert "difference in clean-test accuracy, points: mean and 95 % t interval of 3 seed(s)" in texts
    assert "primary comparison" not in texts
    named = drawn(tmp_path, cells, accuracies, about | {"primary": primary("rem", "em", radius=4)})
    assert "<!-- primary comparison -->" in named


def test_an_interval_wider_than_all_accuracies_does_not_stretch_the_plot(tmp_path: Path) -> None:
    svg = drawn(tmp_path, cells_of("clean", "em", seeds=2), [0.9, 0.9, 0.8, 0.1], comparisons("clean"))
    ticks = [int(digits) for digits in re.findall(r"<!-- \W?(\d+) -->", svg)]
    assert 0 < max(ticks) <= 100
