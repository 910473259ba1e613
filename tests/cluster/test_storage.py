"""A study whose files lie in a storage, through Snakemake's own providers: what is there is all that a stage needs."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from workflow.pipeline import Project, rules_of

from .s3 import Server

CUT = {  # of the tiny study: as few cells as every rule needs, with two shards of a noise
    "experiments": {
        "tiny": {
            "noises": [{"method": "clean"}, {"method": "rem", "rho_u": [16], "rho_a": [4]}],
            "clean_rest": False,
            "victims": [{"networks": ["small-cnn"], "radii": [4]}],
        }
    }
}
STAGES = {"dataset", "source_model", "noise", "merge_noise", "perturbed_dataset", "victim"}
Files = dict[str, bytes]
needs_rsync = pytest.mark.skipif(
    shutil.which("rsync") is None, reason="rsync is not installed, with which the storage fs copies"
)


@pytest.fixture(scope="module")
def local(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The cut study, run on plain files."""
    folder = tmp_path_factory.mktemp("local")
    project = finished.copied(folder).having(CUT, folder)
    project.run("all")
    return project


def empty(project: Project, folder: Path) -> Project:
    """The same study in a working directory without anything, such as a new machine's."""
    (folder / "run").mkdir(parents=True)
    return replace(project, work=folder / "run")


def contents(folder: Path) -> Files:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected(local: Project, *rules: str) -> Files:
    """The outputs of some rules in the study on plain files; those left out that tell how long something took."""
    found: Files = {}
    for rule in rules:
        for output in rules_of(set(local.outputs()))[rule]:
            path = local.work / output
            parts = {f"{output}/{name}": content for name, content in contents(path).items() if path.is_dir()}
            found |= parts or {output: path.read_bytes()}
    return {path: content for path, content in found.items() if not timed(path)}


def timed(path: str) -> bool:
    """Whether a file tells how long something took, or when it was made."""
    shard = "/noise/" in path and "/shards/" in path and path.endswith(".json")
    return shard or path.endswith(("metrics.json", ".jsonl", ".snakemake_timestamp")) or "/cost." in path


def assert_equal(stored: Files, expected: Files) -> None:
    """The storage holds these very bytes."""
    assert expected
    assert [path for path in expected if path not in stored] == []
    assert [path for path in expected if stored[path] != expected[path]] == []


def storage_folder(folder: Path) -> tuple[str, ...]:
    """What Snakemake must be told to keep its files in a folder."""
    return ("--default-storage-provider", "fs", "--default-storage-prefix", str(folder))


@needs_rsync
def test_every_rule_finds_what_it_needs_in_a_folder_that_is_a_storage(local: Project, tmp_path: Path) -> None:
    storage, first, second = storage_folder(tmp_path / "storage"), tmp_path / "first", tmp_path / "second"
    stages = empty(local, first)
    stages.run("victims", *storage)
    assert not (stages.work / "results").exists()
    shutil.rmtree(first)
    products = empty(local, second)
    products.run("all", *storage)
    assert "Nothing to be done" in products.run("all", *storage)
    rules = rules_of(set(local.outputs()))
    assert set(rules) > STAGES
    stored = contents(tmp_path / "storage")
    assert_equal(stored, expected(local, *rules))
    logs = {path.split("/")[1] for path in stored if path.startswith("logs/")}
    assert logs == {"dataset", "source_model", "noise", "perturbed", "victim", "tables", "figures"}


def test_the_stages_find_what_they_need_in_s3(
    local: Project, s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    storage = s3.options("study")
    empty(local, tmp_path / "first").run("perturbed", *storage)
    shutil.rmtree(tmp_path / "first")
    second = empty(local, tmp_path / "second")
    targets = [
        "results/tables/tiny/accuracy.csv",
        "results/tables/tiny/cost.csv",
        "results/figures/tiny/noise-sheet.pdf",
    ]
    second.run(*targets, *storage)
    assert "Nothing to be done" in second.run(*targets, *storage)
    rules = ("accuracy_table", "cost_table", "noise_sheet")
    assert_equal(s3.objects("study"), expected(local, *STAGES, *rules))


def killed(project: Project, begun: Callable[[], bool], *arguments: str) -> None:
    """Run the study until something holds, and then kill Snakemake and all its jobs."""
    process = project.start(*arguments)
    end = time.monotonic() + 400
    while not begun():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


@needs_rsync
def test_what_a_lost_machine_had_begun_goes_on_from_the_folder_of_checkpoints(
    undisturbed: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, checkpoints = storage_folder(tmp_path / "storage"), tmp_path / "checkpoints"
    checkpoints.mkdir()
    monkeypatch.setenv("UNLEARNABLE_CHECKPOINTS", str(checkpoints))
    lost = empty(undisturbed, tmp_path / "lost")
    killed(lost, lambda: any(checkpoints.rglob("0-of-1.checkpoint.pt")), "noises", *storage)
    shutil.rmtree(lost.work)
    last = empty(undisturbed, tmp_path / "last")
    last.run("noises", *storage)
    stored = contents(tmp_path / "storage")
    assert b"resuming from" in stored["logs/noise/tiny/em/u16-a0/s0/0-of-1.log"]
    assert_equal(stored, expected(undisturbed, "source_model", "noise", "merge_noise"))
    assert contents(checkpoints) == {}
