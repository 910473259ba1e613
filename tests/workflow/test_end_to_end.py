"""The tiny study, run to its end: every file is there and says what it should."""

from __future__ import annotations

import ast
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from .pipeline import (
    CLASSES,
    ELSEWHERE,
    FIGURES,
    PRODUCTS,
    SIZE,
    TABLES,
    Config,
    Project,
    checkout,
    require_bound,
    rules_of,
    unshared,
)

STAGES = ["datasets", "sources", "noises", "perturbed", "victims", "tables", "figures", "all"]
COMPUTING = {"source_model", "noise", "victim"}
NOISES = ["em/u16-a0", "tap/u16-a0", "rem/u16-a4", "sem/u16-a4"]
PUBLISHED = [*NOISES, "ops/u0-a0"]


def test_there_is_a_target_for_each_stage_and_nothing_is_left_to_do(finished: Project) -> None:
    assert "Nothing to be done" in finished.run("-n", *STAGES)


def test_a_stage_target_stops_at_its_stage(repo: Path, finished: Project, tmp_path: Path) -> None:
    fresh = Project.new(repo, tmp_path, finished.config)
    to_noises = {"dataset": 1, "source_model": 4, "noise": 6, "merge_noise": 5}
    assert fresh.job_counts("noises") == to_noises | {"noises": 1}
    assert fresh.job_counts("perturbed") == to_noises | {"perturbed_dataset": 7, "perturbed": 1}


def test_every_declared_output_exists(finished: Project) -> None:
    outputs = rules_of(set(finished.outputs()))
    assert set(outputs) == {
        *("dataset", "source_model", "noise", "merge_noise", "perturbed_dataset", "victim"),
        *PRODUCTS,
    }
    missing = [path for paths in outputs.values() for path in paths if not (finished.work / path).exists()]
    assert not missing
    for table in TABLES:
        name = f"results/tables/tiny/{table.removesuffix('_table').replace('_', '-')}"
        assert outputs[table] == {f"{name}.{kind}" for kind in ("csv", "md", "tex", "json")}
    for figure in (name.removesuffix("_figure").replace("_", "-") for name in FIGURES):
        for kind, start in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
            assert (finished.work / f"results/figures/tiny/{figure}.{kind}").read_bytes().startswith(start)


def test_nothing_is_left_beside_the_outputs(finished: Project) -> None:
    left = [path.name for path in (finished.work / "results").rglob("*") if path.name.endswith((".part", ".pt"))]
    assert not left


def test_every_job_wrote_its_log(finished: Project) -> None:
    logs = [path.relative_to(finished.work / "logs").parts[0] for path in (finished.work / "logs").rglob("*.log")]
    counts = {rule: logs.count(rule) for rule in set(logs)}
    expected = {"dataset": 1, "source_model": 4, "noise": 6 + 5, "perturbed": 7, "victim": 14}
    assert counts == expected | {"tables": len(TABLES), "figures": len(FIGURES)}


def test_the_dataset_manifest_describes_both_splits(finished: Project) -> None:
    manifest = finished.json("results/dataset/tiny/manifest.json")
    assert manifest["classes"] == CLASSES
    assert (manifest["train"]["rows"], manifest["test"]["rows"]) == (64, 40)
    assert manifest["train"]["shape"] == [SIZE, SIZE, 1]
    names = ("images-00000.npy", "images-00001.npy", "labels.npy")
    assert [name for name in manifest["files"] if name.startswith("train/")] == [f"train/{name}" for name in names]


@pytest.mark.parametrize("noise", NOISES)
def test_a_noise_has_an_entry_for_every_image_within_its_radius(finished: Project, noise: str) -> None:
    folder = f"results/noise/tiny/{noise}/s0"
    manifest = finished.json(f"{folder}/manifest.json")
    array = np.load(finished.work / folder / "noise.npy")
    assert array.shape == (64, SIZE, SIZE, 1)
    assert array.dtype == np.int8
    assert 0 < np.abs(array.astype(int)).max() == manifest["largest"] <= 16
    assert manifest["config"]["rho_u"] == 16
    assert finished.json(f"{folder}/metrics.json")["passes"] > 0


@pytest.mark.parametrize("noise", [*PUBLISHED, "clean/u0-a0"])
def test_a_manifest_tells_how_far_a_descent_lowered_the_loss(finished: Project, noise: str) -> None:
    share = "p0" if noise.startswith("clean") else "p50"
    descent = finished.json(f"results/perturbed/tiny/{noise}/s0/{share}/manifest.json")["descent"]
    if noise in NOISES:
        assert 0 < descent["loss"] < descent["loss_at_start"]
    else:
        assert descent is None


@pytest.mark.parametrize("noise", ["clean/u0-a0", *NOISES])
def test_a_published_dataset_has_every_row_and_stays_within_the_radius(finished: Project, noise: str) -> None:
    clean = noise.startswith("clean")
    folder = f"results/perturbed/tiny/{noise}/s0/{'p0' if clean else 'p50'}"
    manifest = finished.json(f"{folder}/manifest.json")
    assert manifest["rows"] == 64
    assert manifest["protected_rows"] == (0 if clean else 32)
    assert manifest["share_protected"] == (0.0 if clean else 0.5)
    assert manifest["largest_change"] == 0 if clean else 0 < manifest["largest_change"] <= 16
    names = sorted(path.name for path in (finished.work / folder / "parquet").glob("*.parquet"))
    assert names == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    assert [f"parquet/{name}" for name in names] == [name for name in manifest["files"] if name.endswith(".parquet")]
    tables = [pq.read_table(finished.work / folder / "parquet" / name) for name in names]
    assert [table.num_rows for table in tables] == [40, 24]
    assert sum(sum(table["protected"].to_pylist()) for table in tables) == manifest["protected_rows"]
    shards = [np.load(finished.work / folder / "shards" / f"images-0000{number}.npy") for number in (0, 1)]
    assert [shard.shape for shard in shards] == [(50, SIZE, SIZE, 1), (14, SIZE, SIZE, 1)]


@pytest.mark.parametrize("noise", PUBLISHED)
def test_the_protected_images_are_changed_within_the_stated_bound_and_no_others(finished: Project, noise: str) -> None:
    folder = f"results/perturbed/tiny/{noise}/s0/p50"
    published, clean = (
        np.concatenate([np.load(path) for path in sorted((finished.work / shards).glob("images-*.npy"))])
        for shards in (f"{folder}/shards", "results/dataset/tiny/train")
    )
    tables = [pq.read_table(path) for path in sorted((finished.work / folder / "parquet").glob("*.parquet"))]
    protected = np.concatenate([table["protected"].to_numpy() for table in tables])
    change = published.astype(np.int16) - clean
    changed = (change != 0).any(axis=(1, 2, 3))
    assert not changed[~protected].any()
    assert changed[protected].mean() > 0.9
    stated = require_bound(finished.json(f"{folder}/manifest.json")["bound"], change)
    assert (stated["norm"], stated["radius"]) == (("l0", 1) if noise.startswith("ops") else ("linf", 16))


def test_a_source_model_comes_with_history_and_metrics(finished: Project) -> None:
    folder = "results/source_model/tiny/rem/u16-a4/s0"
    assert load_file(finished.work / folder / "model.safetensors")
    assert pq.read_table(finished.work / folder / "history.parquet")["step"].to_pylist() == [3, 6]
    keys = {
        "batch_accuracy",
        "loss",
        "passes",
        "seconds",
        "peak_memory_bytes",
        "device",
        "files",
        "seal",
        "recipe",
        "read",
    }
    assert set(finished.json(f"{folder}/metrics.json")) == keys


def test_victims_are_measured(finished: Project) -> None:
    folders = list((finished.work / "results/victim").rglob("metrics.json"))
    assert len(folders) == 14
    for path in folders:
        metrics = json.loads(path.read_text())
        accuracies = {"test_accuracy", "best_test_accuracy", "train_accuracy", "robust_accuracy"}
        others = {
            "best_step",
            "stopped_test_accuracy",
            "stopped_step",
            "test_images",
            "stopping_images",
            "robust_radius",
            "auto_attack_accuracy",
            "training_passes",
            "passes",
            "seconds",
            "peak_memory_bytes",
            "device",
            "files",
            "seal",
            "recipe",
            "read",
        }
        assert set(metrics) == accuracies | others
        assert all(0 <= metrics[name] <= 1 for name in accuracies)
        assert metrics["robust_radius"] == int(path.parts[-3].removeprefix("r"))
        assert metrics["auto_attack_accuracy"] is None


def test_tables_have_a_column_for_each_noise(finished: Project) -> None:
    names = ["clean", "EM 16", "TAP 16", "REM 16-4", "SEM 16-4"]
    markdown = finished.read("results/tables/tiny/accuracy.md")
    assert all(name in markdown for name in names)
    assert r"\begin{table}" in finished.read("results/tables/tiny/accuracy.tex")
    cost = finished.read("results/tables/tiny/cost.csv").splitlines()
    assert len(cost) == 1 + 4 + 5 + 7 + 14  # sources, noises, protected datasets, victims


def test_the_cost_table_knows_what_snakemake_measured_of_every_job(finished: Project) -> None:
    jobs = list((finished.work / "results/benchmark").rglob("*.jsonl"))
    rules = Counter(path.relative_to(finished.work / "results/benchmark").parts[0] for path in jobs)
    assert rules == {"source_model": 4, "noise": 6, "perturbed": 7, "victim": 14}
    table = pd.read_csv(finished.work / "results/tables/tiny/cost.csv")
    longest = max(json.loads(path.read_text())["s"] for path in jobs)
    assert table["job_seconds"].between(0, 2 * longest, inclusive="neither").all()  # of a noise the sum of its shards
    assert (table["job_seconds"] > table["seconds_mean"]).all()  # the start of Python is not in the stage's loop


def test_jobs_that_compute_ask_for_one_gpu(finished: Project, tmp_path: Path) -> None:
    plain = checkout(tmp_path / "repo", finished.repo)
    for rules in (plain / "rules").glob("*.smk"):  # with a message Snakemake does not print the resources
        rules.write_text(re.sub(r"^    message:\n.*\n", "", rules.read_text(), flags=re.MULTILINE))
    shown = Project.new(plain, tmp_path / "study", finished.config).run("-n")
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", shown, re.MULTILINE)
    gpus = {(rule, *re.findall(r"gpu=(\d+)", block)) for rule, block in jobs}
    others = {"dataset", "merge_noise", "perturbed_dataset", "table", "figure", "all"}
    assert gpus == {(rule, "1") for rule in COMPUTING} | {(rule,) for rule in others}


def test_each_rule_depends_on_one_canonical_recipe(finished: Project) -> None:
    rules = set()
    for note in (finished.work / ".snakemake/metadata").rglob("*"):
        if note.is_file():
            record = json.loads(note.read_text())
            rules.add(record["rule"])
            values = list(map(ast.literal_eval, record["params"]))
            (recipe,) = [value for value in values if "key" in value]
            assert len(values) == (2 if record["rule"] in ("table", "figure") else 1)  # the cells of a product apart
            assert re.fullmatch("[0-9a-f]{64}", recipe["code"])
            for value in (recipe["settings"], *(value for value in values if value is not recipe)):
                assert_plain(value)
                assert repr(value) == repr(json.loads(json.dumps(value, sort_keys=True)))
    assert rules == {"dataset", "merge_noise", "perturbed_dataset", *COMPUTING, "table", "figure"}


def assert_plain(value: Any) -> None:
    """Nothing but what JSON knows."""
    assert type(value) in (dict, list, str, int, float, bool, type(None))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        assert_plain(part)


@pytest.mark.parametrize("name", ["report.html", "report.zip"])
def test_the_report_is_made_without_a_network(finished: Project, tmp_path: Path, name: str) -> None:
    report = tmp_path / name
    finished.run("--report", str(report), within=unshared("--net", "--map-root-user") or ())
    assert report.stat().st_size > 10_000
    if name.endswith(".html"):
        text = report.read_text(encoding="utf-8")
        assert "(ERROR/" not in text
        for product in ("accuracy of the victims", "cost of each stage", "accuracy against radius", "noise sheet"):
            assert product in text
        products = finished.repo / "workflow/unlearnable/products"
        captions = [products / name / "caption.rst" for name in PRODUCTS]
        assert sorted(products.glob("*/caption.rst")) == sorted(
            [*captions, *(products / name / "caption.rst" for name in ELSEWHERE)]
        )
        assert [path for path in captions if path.read_text(encoding="utf-8")[:30] not in text] == []


def test_jobs_run_the_library_of_their_own_checkout(finished: Project, tmp_path: Path) -> None:
    other = checkout(tmp_path / "repo", finished.repo)
    module = other / "workflow/unlearnable/jobs/job.py"
    module.write_text(module.read_text() + '\nlog.warning("the library of %s", __file__)\n')
    printed = Project.new(other, tmp_path / "study", finished.config).run("datasets")
    assert f"the library of {module}" in printed


def test_a_user_without_a_home_sets_one_variable(repo: Path, tiny: Config, tmp_path: Path) -> None:
    project, without = Project.new(repo, tmp_path / "study", tiny), ("env", f"HOME={os.devnull}/home")
    project.run("-n", within=(*without, "XDG_CACHE_HOME="), ok=False)
    project.run("-n", within=(*without, f"XDG_CACHE_HOME={tmp_path}"))
    assert (tmp_path / "snakemake").is_dir()
