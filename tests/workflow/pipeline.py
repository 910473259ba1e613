"""The real command line on a study that takes seconds: what the tests of the pipeline share."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from unlearnable.bounds import Bound
from unlearnable.datasets.split import Array
from unlearnable.study.products import by_stem

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "scripts", "config", "workflow", "profiles", "envs")  # what a run needs of the project
BIN = Path(sys.executable).parent
SIZE = 8
CLASSES = ["cat", "dog", "owl"]
TABLES = (
    *("accuracy_table", "comparison_table", "early_stopping_table", "ranking_table"),
    *("cost_table", "tradeoff_table"),
)
FIGURES = (
    *("accuracy_figure", "comparison_figure", "fraction_figure", "loss_figure", "heat_map"),
    *("tradeoff_figure", "training_curves", "noise_sheet"),
)
PRODUCTS = TABLES + FIGURES
ELSEWHERE = ("audit_table",)  # a product that the tiny study cannot make: it compares two datasets

Config = dict[str, Any]
Output = tuple[str, str]  # a rule, or a product by its name there, and one of its files


def png(image: np.ndarray[Any, Any]) -> bytes:
    """One grey image as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def random_images(rows: int, seed: int = 0, size: int = SIZE) -> list[bytes]:
    """Images of noise, as PNG."""
    draws = np.random.default_rng(seed)
    return [png(draws.integers(0, 256, (size, size), np.uint8)) for _ in range(rows)]


def write_split(path: Path, images: list[bytes], labels: list[int] | None = None) -> None:
    """A Parquet file of encoded images; their labels are 0, 1, 2 in turn unless told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = [row % len(CLASSES) for row in range(len(images))] if labels is None else labels
    pq.write_table(pa.table({"image": pa.array(images, pa.binary()), "label": pa.array(labels, pa.int64())}), path)


def dataset(root: Path, **changes: Any) -> Config:
    """The description of a dataset that ``write_split`` wrote."""
    described = {"kind": "parquet", "root": str(root), "image_size": SIZE, "channels": 1, "classes": CLASSES}
    return described | {"augmentation": {"flip": True, "crop_padding": 1}, "rows_per_shard": 50} | changes


def tiny_study(root: Path) -> Config:
    """Every kind of noise, victim and product, in a few steps on a few images."""
    return {
        "run": ["tiny"],
        "datasets": {"tiny": dataset(root)},
        "methods": {
            "em": {"by_dataset": {"tiny": {"k_u": 2}}},
            "tap": {"by_dataset": {"tiny": {"steps": 2, "alpha": 0.5, "restarts": 1}}},
            **{method: {"by_dataset": {"tiny": {"k_u": 2, "k_a": 1, "j": 1}}} for method in ("rem", "sem")},
        },
        "source_model": {
            "by_dataset": {
                "tiny": {
                    "network": "small-cnn",
                    "steps": 6,
                    "batch_size": 16,
                    "history_every": 3,
                    "by_method": {"clean": {"steps": 6}},
                }
            }
        },
        "noise": {"by_dataset": {"tiny": {"batch_size": 16, "by_method": {"rem": {"shards": 2}}}}},
        "perturbed": {"rows_per_parquet": 40, "rows_per_shard": 50},
        "victim": {
            "by_dataset": {
                "tiny": {
                    "steps": 6,
                    "batch_size": 16,
                    "k_a": 1,
                    "evaluate_every": 3,
                    "robust_steps": 1,
                    "robust_images": 10,
                }
            }
        },
        "experiments": {
            "tiny": {
                "datasets": ["tiny"],
                "noises": [
                    {"method": "clean"},
                    {"method": "em", "rho_u": [16]},
                    {"method": "tap", "rho_u": [16]},
                    {"method": "rem", "rho_u": [16], "rho_a": [4]},
                    {"method": "sem", "rho_u": [16], "rho_a": [4]},
                    {"method": "ops"},
                ],
                "protected": [50],
                "clean_rest": True,
                "victims": [
                    {"networks": ["small-cnn"], "radii": [4]},
                    {"networks": ["small-cnn"], "radii": [0], "countermeasures": ["jpeg10"]},
                ],
                "seeds": [0],
                "products": [name.replace("_", "-") for name in PRODUCTS],
            }
        },
    }


def require_bound(told: Config, change: Array) -> Config:
    """Make sure that what a manifest tells of its bound is so.

    Args:
        told: the manifest's entry.
        change: published images less clean ones, ``(N, H, W, C)``.

    Returns:
        The bound that is stated there.
    """
    stated = {key: told[key] for key in ("norm", "radius", "unit")}
    bound = Bound(**stated)
    assert bound.exceeded_by(change) is None
    assert told["largest"] == pytest.approx(bound.sizes(change).max())
    return stated


def laid_over(config: Config, change: Config) -> Config:
    """``change`` laid over ``config`` key by key, as Snakemake lays one configuration file over another."""
    merged = dict(config)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        merged[key] = laid_over(config[key], value) if both else value
    return merged


def reversed_keys(value: Any) -> Any:
    """The same settings with every mapping's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def checkout(folder: Path, source: Path = ROOT) -> Path:
    """A copy of the project, its files new as after a clone."""
    for part in PARTS:
        if (source / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".snakemake")
            shutil.copytree(source / part, folder / part, copy_function=shutil.copy, ignore=ignored)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / part, folder / part)
    return folder


@cache
def unshared(*flags: str) -> tuple[str, ...] | None:
    """The command that gives another command namespaces of its own, or None where that is not permitted or possible."""
    command = ("unshare", *flags)
    if "--mount" in flags and shutil.which("mount") is None:
        return None
    try:
        return command if subprocess.run([*command, "true"], capture_output=True).returncode == 0 else None
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class Project:
    """One study in one working directory.

    Attributes:
        repo: the copy of the project whose Snakefile runs.
        work: where results, logs and Snakemake's own notes go.
        config: what is laid over the default configuration.
        study: the YAML file with it.
    """

    repo: Path
    work: Path
    config: Config
    study: Path

    @classmethod
    def new(cls, repo: Path, folder: Path, config: Config) -> Project:
        """A study with nothing computed yet, in ``folder``."""
        (folder / "run").mkdir(parents=True)
        return cls(repo, folder / "run", config, folder / "study.yaml")._written()

    def _written(self) -> Project:
        self.study.write_text(yaml.safe_dump(self.config, sort_keys=False), encoding="utf-8")
        return self

    def having(self, change: Config, folder: Path) -> Project:
        """The same working directory under changed settings, which are written into ``folder``."""
        return replace(self, config=laid_over(self.config, change), study=folder / "changed.yaml")._written()

    def copied(self, folder: Path) -> Project:
        """The same study in a copy of the working directory, dates included."""
        shutil.copytree(self.work, folder / "run", symlinks=True)
        return replace(self, work=folder / "run", study=folder / "study.yaml")._written()

    def command(self, *arguments: str) -> list[str]:
        """The command line; targets first, because some options take whatever follows them."""
        options = ["-s", str(self.repo / "Snakefile"), "-d", str(self.work), "--cores", "2"]
        return [str(BIN / "snakemake"), *arguments, *options, "--configfile", str(self.study)]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, within: tuple[str, ...] = (), ok: bool = True) -> str:
        """Run Snakemake to its end; gives what it printed.

        Args:
            arguments: targets and options.
            within: a command that runs it, such as ``unshare``.
            ok: whether it must succeed; otherwise it must fail.
        """
        done = subprocess.run(
            [*within, *self.command(*arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert (done.returncode == 0) == ok, done.stdout
        return done.stdout

    def outputs(self) -> dict[Output, bool]:
        """Every output of the study's jobs, by rule or product, and whether a run would write it again."""
        done = subprocess.run(self.command("--summary"), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        where = {name: column for column, name in enumerate(rows[0])}
        outputs = [(row[where["rule"]], row[where["output_file"]], row[where["plan"]]) for row in rows[1:]]
        return {(rule_or_product(rule, path), path): plan != "no update" for rule, path, plan in outputs}

    def planned(self) -> set[Output]:
        """What a run would write again."""
        return {output for output, again in self.outputs().items() if again}

    def job_counts(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a run would start, from the table of a dry run; aggregating rules left out."""
        table = self.run("-n", *arguments).partition("Job stats:")[2].partition("\n\n")[0]
        rows = re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)
        return {rule: int(count) for rule, count in rows if rule not in ("all", "total")}

    def read(self, path: str) -> str:
        """A text file of the working directory."""
        return (self.work / path).read_text(encoding="utf-8")

    def json(self, path: str) -> Any:
        """A JSON file of the working directory."""
        return json.loads(self.read(path))

    def bytes_below(self, *folders: str) -> dict[str, bytes]:
        """The files in some folders of the working directory and their contents; metrics and hidden files left out."""
        found: dict[str, bytes] = {}
        for folder in folders:
            for path in sorted((self.work / folder).rglob("*")):
                if path.is_file() and not path.name.startswith(".") and path.name != "metrics.json":
                    found[str(path.relative_to(self.work))] = path.read_bytes()
        return found


def rule_or_product(rule: str, path: str) -> str:
    """The rule that writes a file; of the rules that make all tables and figures, which one it is."""
    if rule not in ("table", "figure"):
        return rule
    return by_stem("tables" if rule == "table" else "figures")[Path(path).stem].product.replace("-", "_")


def rules_of(outputs: set[Output]) -> dict[str, set[str]]:
    """The files of some outputs by rule or product."""
    found: dict[str, set[str]] = defaultdict(set)
    for rule, path in outputs:
        found[rule].add(path)
    return dict(found)


def script_process(group: int, script: str) -> int | None:
    """The process of a process group that runs a rule's script, or None while there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            mine = os.getpgid(int(folder.name)) == group
        except (OSError, ValueError):
            continue
        if mine and len(arguments) > 1 and arguments[1].endswith(f".{script}".encode()):
            return int(folder.name)
    return None


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 400) -> None:
    """Wait until a running process has made a file."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f"{path} did not appear in {seconds} s"
        time.sleep(0.02)
