"""Results know what they were made with: lost notes, lost dates, exchanged folders and strange results are noticed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from unlearnable import files
from unlearnable.recipe import RECIPE
from unlearnable.study.faults import DEFAULTS
from unlearnable.study.finished import Finished
from unlearnable.study.recipes import Planned, Recipes
from unlearnable.study.study import Study

from .pipeline import PRODUCTS, Config, Project, rules_of

STEPS: Config = {"victim": {"by_dataset": {"tiny": {"steps": 9}}}}
MADE_AGAIN = {"victim", *(set(PRODUCTS) - {"noise_sheet"})}
NOISE, VICTIM = "results/noise/tiny", "results/victim/tiny"
CLEAN, EM = "clean/u0-a0", "em/u16-a0"
TRAINED = "p50/small-cnn/none/r4/s0"
VICTIMS = f"{VICTIM}/clean/u0-a0/{TRAINED}", f"{VICTIM}/em/u16-a0/{TRAINED}"


def notes(study: Project) -> list[Path]:
    """Snakemake's notes."""
    found = [path for path in (study.work / ".snakemake/metadata").rglob("*") if path.is_file()]
    assert found
    return found


def lost(study: Project) -> None:
    shutil.rmtree(study.work / ".snakemake")


def cut(study: Project) -> None:
    for path in notes(study):
        os.truncate(path, 0)


def partly_lost(study: Project) -> None:
    for path in notes(study)[::2]:
        path.unlink()


@pytest.mark.parametrize("damage", [lost, cut, partly_lost])
def test_results_without_notes_are_made_again_if_settings_changed(
    finished: Project, tmp_path: Path, damage: Callable[[Project], None]
) -> None:
    study = finished.copied(tmp_path)
    damage(study)
    assert rules_of(study.having(STEPS, tmp_path).planned()).keys() == MADE_AGAIN


def test_copied_results_are_accepted_without_notes_whatever_their_dates(finished: Project, tmp_path: Path) -> None:
    study = finished.copied(tmp_path)
    lost(study)
    for number, path in enumerate(sorted((study.work / "results").rglob("*"))):
        os.utime(path, times=(number * 7919 % 10_007 * 1e5,) * 2)
    printed = study.run("-n")
    assert "Nothing to be done" in printed
    assert "made again" not in printed
    changed = study.having(STEPS, tmp_path).run("-n")
    why = rf"^{VICTIM}/\S+ was made with training.steps 6 \(now 9\); it is made again, and what follows from it$"
    assert len(re.findall(why, changed, re.MULTILINE)) == 5, changed
    assert "Further results were made with something else, too" in changed


def verify(study: Project) -> tuple[int, str]:
    """The exit code of ``make verify``, and what it printed."""
    command = [sys.executable, "-m", "unlearnable.tools.verify"]
    done = subprocess.run(command, cwd=study.work, capture_output=True, text=True)
    return done.returncode, done.stdout


def exchange(study: Project, one: str, other: str) -> None:
    """Exchange two folders or files, dates and all."""
    first, second = study.work / one, study.work / other
    first.rename(beside := first.with_name("beside"))
    second.rename(first)
    beside.rename(second)


def test_two_victims_in_each_others_place_are_found_by_plan_verify_and_table(finished: Project, tmp_path: Path) -> None:
    study = finished.copied(tmp_path)
    exchange(study, *VICTIMS)
    code, printed = verify(study)
    assert code == 1
    for path, other in (VICTIMS, VICTIMS[::-1]):
        assert f"{path}/metrics.json: is {other}, which belongs elsewhere: folders or files were exchanged" in printed
    planned = rules_of(study.planned())
    assert planned["victim"] == {
        f"{path}/{name}" for path in VICTIMS for name in ("metrics.json", "model.safetensors", "history.parquet")
    }
    assert planned.keys() == MADE_AGAIN
    table = "results/tables/tiny/accuracy.csv"
    (study.work / table).unlink()
    printed = study.run(table, "--rerun-triggers", "mtime", ok=False)  # without params, nothing is compared beforehand
    assert re.search(rf"ERROR in rule table: {VICTIMS[1]}/metrics.json: is {VICTIMS[0]}", printed), printed
    assert not (study.work / table).exists()


def test_clean_images_in_the_place_of_protected_ones_are_not_trained_on(finished: Project, tmp_path: Path) -> None:
    study = finished.copied(tmp_path)
    clean, protected = "results/perturbed/tiny/clean/u0-a0/s0/p0", "results/perturbed/tiny/em/u16-a0/s0/p50"
    shutil.rmtree(study.work / protected)
    shutil.copytree(study.work / clean, study.work / protected)
    victim = f"{VICTIMS[1]}/metrics.json"
    (study.work / victim).unlink()
    printed = study.run(victim, "--rerun-triggers", "mtime", ok=False)
    assert re.search(rf"ERROR in rule victim: {protected}/manifest.json: is {clean}, which belongs elsewhere", printed)
    assert "Traceback" not in printed


def test_an_input_dated_in_the_future_costs_no_finished_work(finished: Project, tmp_path: Path) -> None:
    study = finished.copied(tmp_path)
    for path in [study.work / "results/dataset", *(study.work / "results/dataset").rglob("*")]:
        os.utime(path, times=(path.stat().st_mtime + 1e6,) * 2)
    shutil.rmtree(study.work / VICTIMS[0])
    printed = study.run(f"{VICTIMS[0]}/metrics.json")
    assert "in the future; it now has the present date" in printed
    assert study.bytes_below(VICTIMS[0]) == finished.bytes_below(VICTIMS[0])


# ---- without Snakemake: the same comparison, result by result


def recipes_of(project: Project) -> Recipes:
    """The recipes of a project's study."""
    config: Config = {}
    for path in (*(project.repo / "config" / name for name in DEFAULTS), project.study):
        update_config(config, yaml.safe_load(path.read_text(encoding="utf-8")))
    return Recipes(Study(config, root=project.repo))


@pytest.fixture(scope="module")
def planned(finished: Project) -> dict[str, Planned]:
    """Every result of the finished study by its JSON file."""
    recipes = recipes_of(finished)
    found: dict[str, Planned] = {}

    def collect(result: Planned) -> None:
        found[result.file] = result
        for results in result.made_from.values():
            for each in results:
                collect(each)

    for stem in ("accuracy", "cost"):
        collect(recipes.product("tables", "tiny", stem))
    collect(recipes.product("figures", "tiny", "noise-sheet"))
    return found


def faulty(work: Path, planned: dict[str, Planned]) -> dict[str, str]:
    """Every result that is not the one asked for, and why."""
    results = Finished(work)
    return {name: fault.reason for name, result in planned.items() if (fault := results.fault(result)) is not None}


def test_every_result_stores_its_recipe(finished: Project, planned: dict[str, Planned]) -> None:
    assert faulty(finished.work, planned) == {}
    for path in (finished.work / "results").rglob("*.json"):
        assert RECIPE in files.read_json(path), path
    assert all((finished.work / name).is_file() for name in planned)


EXCHANGED = {
    "source models": ("results/source_model/tiny/em/u16-a0/s0", "results/source_model/tiny/clean/u0-a0/s0"),
    "shards": (f"{NOISE}/rem/u16-a4/s0/shards/0-of-2.json", f"{NOISE}/rem/u16-a4/s0/shards/1-of-2.json"),
    "noises": (f"{NOISE}/em/u16-a0/s0", f"{NOISE}/tap/u16-a0/s0"),
    "protected datasets": ("results/perturbed/tiny/em/u16-a0/s0", "results/perturbed/tiny/tap/u16-a0/s0"),
    "victims": VICTIMS,
    "metrics of victims": (f"{VICTIMS[0]}/metrics.json", f"{VICTIMS[1]}/metrics.json"),
    "tables": ("results/tables/tiny/accuracy.json", "results/tables/tiny/cost.json"),
}


@pytest.mark.parametrize("what", EXCHANGED)
def test_exchanged_results_are_noticed_at_every_stage(
    finished: Project, planned: dict[str, Planned], tmp_path: Path, what: str
) -> None:
    study = finished.copied(tmp_path)
    exchange(study, *EXCHANGED[what])
    code, printed = verify(study)
    assert code == 1
    found = faulty(study.work, planned)
    for path in EXCHANGED[what]:
        assert re.search(rf"^{path}\S*: is results/\S+, which belongs elsewhere", printed, re.MULTILINE), printed
        assert any(name.startswith(path) and fault.startswith("is results/") for name, fault in found.items())


def test_results_of_another_seed_or_revision_are_noticed(
    finished: Project, planned: dict[str, Planned], tmp_path: Path
) -> None:
    study = finished.copied(tmp_path)
    for name, change in ((f"{VICTIMS[0]}/metrics.json", "settings"), (f"{VICTIMS[1]}/metrics.json", "code")):
        content = files.read_json(study.work / name)
        content[RECIPE][change] = content[RECIPE]["settings"] | {"seed": 7} if change == "settings" else "0" * 64
        files.write_json(study.work / name, content)
    found = faulty(study.work, planned)
    assert found[f"{VICTIMS[0]}/metrics.json"] == "was made with seed 7 (now 0)"
    assert re.fullmatch(
        r"was made by other code \(fingerprint 0{16}, now \w{16}\)", found[f"{VICTIMS[1]}/metrics.json"]
    )
    assert found["results/tables/tiny/accuracy.json"].startswith("was made from results/victim/")


def test_a_result_is_made_again_if_what_it_was_made_from_became_something_else(
    finished: Project, planned: dict[str, Planned], tmp_path: Path
) -> None:
    study = finished.copied(tmp_path)
    model = "results/source_model/tiny/em/u16-a0/s0/metrics.json"
    content = files.read_json(study.work / model)
    content[files.HASHES]["model.safetensors"] = "0" * 64
    files.write_json(study.work / model, content)
    noise = f"{NOISE}/em/u16-a0/s0/shards/0-of-1.json"
    assert faulty(study.work, planned)[noise].startswith(f"was made from other files than those of {model} (digest ")
    assert f"{noise}: was made from other files than those that {model} lists now" in verify(study)[1]


def test_results_of_an_earlier_version_are_made_again(
    finished: Project, planned: dict[str, Planned], tmp_path: Path
) -> None:
    study = finished.copied(tmp_path)
    name = f"{VICTIMS[0]}/metrics.json"
    content = files.read_json(study.work / name)
    del content[RECIPE]
    files.write_json(study.work / name, content)
    assert faulty(study.work, planned)[name] == "does not say what it was made with: an earlier version wrote it"


def test_the_number_of_shards_makes_nothing_that_follows_run_again(finished: Project, tmp_path: Path) -> None:
    change: Config = {"noise": {"by_dataset": {"tiny": {"by_method": {"rem": {"shards": 1}}}}}}
    one, two = recipes_of(finished.having(change, tmp_path)), recipes_of(finished)
    (noise,) = [noise for noise in two.study.noises("tiny") if noise.method == "rem"]
    assert one.merge_noise(noise).recipe.key == two.merge_noise(noise).recipe.key
    assert len(one.merge_noise(noise).made_from["metrics"]) == 1
    assert len(two.merge_noise(noise).made_from["metrics"]) == 2
