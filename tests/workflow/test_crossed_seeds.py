"""Seeds of noises and of victims, crossed: what is trained, what is shared, and what a new seed adds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from .pipeline import Config, Project, laid_over, rules_of
from .test_plan import counts, plan, sections

PATH = "results/victim/tiny/{}/small-cnn/none/r0/s{}"
OPS, CLEAN = "ops/u0-a0/p50", "clean/u0-a0/p0"
TABLE = "results/tables/tiny/accuracy.csv"


def crossed(tiny: Config, seeds: Any) -> Config:
    """One noise and clean images, with an accuracy table."""
    axes = {
        "noises": [{"method": "clean"}, {"method": "ops"}],
        "protected": [0, 50],
        "clean_rest": False,
        "victims": {"networks": ["small-cnn"], "radii": [0]},
        "seeds": seeds,
        "products": ["accuracy-table", "comparison-table", "training-curves"],
    }
    return laid_over(tiny, {"experiments": {"tiny": axes}})


@pytest.fixture(scope="module")
def ran(repo: Path, tiny: Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two noises with two victims each, run to the end. Tests may copy it, not change it."""
    seeds = {"noise": [0, 1], "victim": [0, 5]}
    project = Project.new(repo, tmp_path_factory.mktemp("crossed"), crossed(tiny, seeds))
    counts = {"dataset": 1, "noise": 2, "merge_noise": 2, "perturbed_dataset": 3, "victim": 6, "table": 2, "figure": 1}
    assert project.job_counts() == counts
    project.run("all")
    return project


def with_seeds(study: Project, seeds: Any, folder: Path) -> Project:
    return study.having({"experiments": {"tiny": {"seeds": seeds}}}, folder)


def test_there_is_a_victim_for_each_pair_of_seeds_and_a_clean_one_for_each_victim_seed(ran: Project) -> None:
    found = sorted(str(path.parent.relative_to(ran.work)) for path in ran.work.glob("results/victim/**/metrics.json"))
    wanted = [PATH.format(OPS, seeds) for seeds in ("0", "0-v5", "1", "1-v0", "1-v5")]
    wanted.remove(PATH.format(OPS, "1"))  # no victim has the seeds 1 and 1
    assert found == sorted([*wanted, PATH.format(CLEAN, "0"), PATH.format(CLEAN, "5")])
    assert (ran.work / "logs/victim/tiny/ops/u0-a0/p50/small-cnn/none/r0/s1-v5.log").is_file()
    assert "Nothing to be done" in ran.run("-n")


def test_two_victims_of_a_noise_share_it_and_differ(ran: Project) -> None:
    one, other, elsewhere = (ran.json(f"{PATH.format(OPS, seeds)}/metrics.json") for seeds in ("0", "0-v5", "1-v5"))
    assert one["recipe"]["inputs"] == other["recipe"]["inputs"] != elsewhere["recipe"]["inputs"]
    assert one["read"] == other["read"] != elsewhere["read"]
    models = {(ran.work / PATH.format(OPS, seeds) / "model.safetensors").read_bytes() for seeds in ("0", "0-v5")}
    assert len(models) == 2


def test_tables_count_the_noises(ran: Project) -> None:
    table = pd.read_csv(ran.work / TABLE).set_index("noise")
    assert table["n"].to_dict() == {"clean": 2, "OPS": 2}
    means = [
        sum(ran.json(f"{PATH.format(OPS, f'{seed}{own}')}/metrics.json")["test_accuracy"] for own in owns) / 2
        for seed, owns in ((0, ("", "-v5")), (1, ("-v0", "-v5")))
    ]
    assert table.loc["OPS", "test_accuracy_mean"] == pytest.approx(50 * sum(means))
    assert table.loc["OPS", "test_accuracy_sd"] == pytest.approx(100 * pd.Series(means).std())


def test_a_new_victim_seed_trains_new_victims_only(ran: Project, tmp_path: Path) -> None:
    more = with_seeds(ran.copied(tmp_path), {"noise": [0, 1], "victim": [0, 5, 7]}, tmp_path)
    assert more.job_counts() == {"victim": 3, "table": 2, "figure": 1}
    victims = {Path(path).parent for path in rules_of(more.planned())["victim"]}
    assert victims == {Path(PATH.format(*of)) for of in ((CLEAN, "7"), (OPS, "0-v7"), (OPS, "1-v7"))}
    more.run("all")
    assert "Nothing to be done" in more.run("-n")


def test_a_new_noise_seed_trains_no_clean_victim(ran: Project, tmp_path: Path) -> None:
    more = with_seeds(ran, {"noise": [0, 1, 2], "victim": [0, 5]}, tmp_path)
    noises = {"noise": 1, "merge_noise": 1, "perturbed_dataset": 1}
    assert more.job_counts() == {**noises, "victim": 2, "table": 2, "figure": 1}


def test_a_list_of_seeds_uses_the_victims_with_equal_seeds(ran: Project, tmp_path: Path) -> None:
    listed = with_seeds(ran, [0], tmp_path)
    assert listed.job_counts() == {"table": 2, "figure": 1}


def test_plan_and_verify_know_crossed_victims(ran: Project, tmp_path: Path) -> None:
    more = with_seeds(ran.copied(tmp_path), {"noise": [0, 1], "victim": [0, 5, 7]}, tmp_path)
    assert counts(sections(plan(more))[0])["victim"] == (9, 6, 3)
    model = more.work / PATH.format(OPS, "1-v5") / "model.safetensors"
    model.write_bytes(b"other")
    done = subprocess.run(
        [sys.executable, "-m", "unlearnable.tools.verify"], cwd=more.work, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "1 damaged" in done.stdout
    assert f"{PATH.format(OPS, '1-v5')}/model.safetensors: " in done.stdout


@pytest.mark.parametrize("seeds", [{"noise": [0, 0], "victim": [1]}, {"noise": [0], "victim": []}, [2, 2], [-1]])
def test_seeds_that_make_no_sense_stop_a_run_with_one_line(ran: Project, tmp_path: Path, seeds: Any) -> None:
    changed = with_seeds(ran, seeds, tmp_path)
    printed = changed.run("-n", ok=False)
    (line,) = [line for line in printed.splitlines() if "experiments.tiny.seeds" in line]
    assert f"{changed.study}:" in line
