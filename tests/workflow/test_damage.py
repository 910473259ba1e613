"""A flipped bit in a result: the next stage that reads it finds it, and so does ``make verify``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .pipeline import Config, Project

# Products of few victims, so that other stages can fail beside them.
OTHERS: Config = {
    "experiments": {
        name: {
            "datasets": ["tiny"],
            "noises": [noise],
            "protected": [50],
            "victims": [{"networks": ["small-cnn"], "radii": [4]}],
            "seeds": [0],
            "products": [product],
        }
        for name, noise, product in (
            ("one", {"method": "clean"}, "accuracy-table"),
            ("two", {"method": "rem", "rho_u": [16], "rho_a": [4]}, "training-curves"),
        )
    }
}


@dataclass(frozen=True)
class Case:
    """A damaged file and the job that reads it next: each of another method, so that none waits for another.

    Attributes:
        rule: whose job it is.
        damaged: in which file a bit is flipped.
        manifest: what has to be regenerated.
        target: what the job is asked for.
    """

    rule: str
    damaged: str
    manifest: str
    target: str


SOURCE, NOISE, PERTURBED, VICTIM = (
    f"results/{stage}/tiny" for stage in ("source_model", "noise", "perturbed", "victim")
)
OPS = f"{PERTURBED}/ops/u0-a0/s0/p50"
CASES = {
    "weights": Case(
        "noise",
        f"{SOURCE}/em/u16-a0/s0/model.safetensors",
        f"{SOURCE}/em/u16-a0/s0/metrics.json",
        f"{NOISE}/em/u16-a0/s0/shards/0-of-1.npy",
    ),
    "noise of a shard": Case(
        "merge_noise",
        f"{NOISE}/sem/u16-a4/s0/shards/0-of-1.npy",
        f"{NOISE}/sem/u16-a4/s0/shards/0-of-1.json",
        f"{NOISE}/sem/u16-a4/s0/noise.npy",
    ),
    "merged noise": Case(
        "perturbed_dataset",
        f"{NOISE}/ops/u0-a0/s0/noise.npy",
        f"{NOISE}/ops/u0-a0/s0/manifest.json",
        f"{OPS}/metrics.json",
    ),
    "manifest": Case(
        "perturbed_dataset",
        f"{NOISE}/tap/u16-a0/s0/manifest.json",
        f"{NOISE}/tap/u16-a0/s0/manifest.json",
        f"{PERTURBED}/tap/u16-a0/s0/p50/metrics.json",
    ),
    "published images": Case(
        "victim",
        f"{PERTURBED}/clean/u0-a0/s0/p50/shards/images-00000.npy",
        f"{PERTURBED}/clean/u0-a0/s0/p50/manifest.json",
        f"{VICTIM}/clean/u0-a0/p50/small-cnn/none/r4/s0/model.safetensors",
    ),
    "test images": Case(
        "victim",
        "results/dataset/tiny/test/images-00000.npy",
        "results/dataset/tiny/manifest.json",
        f"{VICTIM}/clean/u0-a0/p0/small-cnn/jpeg10/r0/s0/model.safetensors",
    ),
    "metrics": Case(
        "table",
        f"{VICTIM}/clean/u0-a0/p0/small-cnn/none/r4/s0/metrics.json",
        f"{VICTIM}/clean/u0-a0/p0/small-cnn/none/r4/s0/metrics.json",
        "results/tables/one/accuracy.csv",
    ),
    "history": Case(
        "figure",
        f"{VICTIM}/rem/u16-a4/p50/small-cnn/none/r4/s0/history.parquet",
        f"{VICTIM}/rem/u16-a4/p50/small-cnn/none/r4/s0/metrics.json",
        "results/figures/two/training-curves.png",
    ),
}
UNREAD = [  # by any stage: published for people
    f"{OPS}/parquet/train-00001-of-00002.parquet",
    "results/tables/tiny/cost.csv",
    "results/figures/tiny/noise-sheet.svg",
]


def flip(path: Path) -> None:
    """Turn one bit in the middle of a file, which keeps its date."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def verify(work: Path) -> tuple[int, list[str]]:
    """The exit code of ``make verify`` in a working directory, and its lines."""
    done = subprocess.run([sys.executable, "-m", "unlearnable.tools.verify"], cwd=work, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()


@dataclass(frozen=True)
class Damaged:
    """A study with flipped bits: what ``make verify`` listed, and what the next stages printed."""

    study: Project
    code: int
    listed: list[str]
    printed: str


@pytest.fixture(scope="module")
def damaged(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """All damage at once; then every job that reads some of it has to run."""
    folder = tmp_path_factory.mktemp("damaged")
    study = finished.copied(folder).having(OTHERS, folder)
    for name in [*(case.damaged for case in CASES.values()), *UNREAD]:
        flip(study.work / name)
    code, listed = verify(study.work)
    for case in CASES.values():
        (study.work / case.target).unlink(missing_ok=True)
    printed = study.run(*(case.target for case in CASES.values()), ok=False)
    return Damaged(study, code, listed, printed)


def test_an_undamaged_study_is_intact(finished: Project) -> None:
    code, (summary,) = verify(finished.work)
    assert re.fullmatch(r"\d+ files in results: all intact", summary)
    assert code == 0


def test_all_damage_is_listed_with_what_to_do(damaged: Damaged) -> None:
    *lines, summary = damaged.listed
    expected = {case.damaged: case.manifest for case in CASES.values()}
    expected[UNREAD[0]] = f"{OPS}/manifest.json"
    expected |= {name: str(Path(name).with_suffix(".json")) for name in UNREAD[1:]}
    advice = r"; delete \S+ and regenerate it: snakemake (\S+) --cores all \(with this study's options\)$"
    assert {line.partition(": ")[0]: re.findall(advice, line)[0] for line in lines} == expected
    assert summary.endswith(f" files in results: {len(expected)} damaged")
    assert damaged.code == 1


@pytest.mark.parametrize("name", CASES)
def test_the_next_stage_finds_a_flipped_bit_and_writes_nothing(damaged: Damaged, name: str) -> None:
    case = CASES[name]
    problem = "(not a JSON file|damaged or edited)" if case.damaged.endswith(".json") else "checksum mismatch"
    error = rf"ERROR in rule {case.rule}: {case.damaged}: {problem}.*; delete {case.manifest} and regenerate it: "
    assert re.search(error, damaged.printed), damaged.printed
    assert not (damaged.study.work / case.target).exists()
    assert "Traceback" not in damaged.printed


def test_what_the_message_says_mends_it_and_nothing_else_runs(
    damaged: Damaged, finished: Project, tmp_path: Path
) -> None:
    case = CASES["merged noise"]
    study = damaged.study.copied(tmp_path)
    (study.work / case.manifest).unlink()
    for target, rule in ((case.manifest, "merge_noise"), (f"{OPS}/manifest.json", "perturbed_dataset")):
        printed = study.run(target)
        assert re.findall(r"^(\w+) +1$", printed, re.MULTILINE)[:2] == [rule, "total"], printed
    again = [os.path.dirname(case.damaged), OPS]
    assert study.bytes_below(*again).keys() == finished.bytes_below(*again).keys()
    assert study.bytes_below(OPS) == finished.bytes_below(OPS)
    shutil.rmtree(study.work)
