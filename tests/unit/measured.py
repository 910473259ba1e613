"""Made-up measurements of victims, as the stages write them: what tests of tables and figures start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unlearnable import files

METHODS: dict[str, dict[str, Any]] = {
    "clean": {"algorithm": "clean"},
    "em": {"algorithm": "em", "frame": "raw", "start": "random", "k_u": 10, "alpha_u": 0.2},
    "em-augmented": {
        **{"algorithm": "em", "frame": "augmented", "start": "random", "k_u": 10, "alpha_u": 0.2},
        "source_model_steps": 5000,
    },
    "tap-fu2022": {
        "algorithm": "tap",
        "preset": "fu2022",
        "steps": 250,
        "alpha": 0.008,
        "restarts": 1,
        "source_model_steps": 40_000,
    },
    "rem": {
        **{"algorithm": "rem", "attack": "fresh", "start": "random", "clip": "box", "expectation": "transform"},
        **{"k_u": 10, "alpha_u": 0.2, "k_a": 10, "alpha_a": 0.2, "j": 5, "source_model_steps": 5000},
    },
    "ops": {"algorithm": "ops"},
}
IMAGENET: dict[str, dict[str, Any]] = {
    "em-augmented": {"k_u": 7, "alpha_u": 0.25, "source_model_steps": 3000},
    "tap-fu2022": {"steps": 100, "alpha": 0.02},
    "rem": {"k_u": 7, "alpha_u": 0.25, "k_a": 7, "alpha_a": 0.25, "j": 4, "source_model_steps": 3000},
}
COUNTERMEASURES: dict[str, dict[str, Any]] = {
    "none": {"kind": "none"},
    "gray": {"kind": "grayscale"},
    "trades": {"kind": "trades", "beta": 6.0},
}
Cell = dict[str, Any]


def victim(method: str, seed: int = 0, **axes: Any) -> Cell:
    """A victim's cell: on CIFAR-10, ResNet-18, all images protected, plain standard training, unless told."""
    rho_u = 0 if METHODS[method]["algorithm"] in ("clean", "ops") else 8
    defaults = {
        **{"dataset": "cifar10", "method": method, "rho_u": rho_u, "rho_a": 4 if method == "rem" else 0},
        **{"seed": seed, "protected": 0 if method == "clean" else 100},
        **{"network": "resnet18", "countermeasure": "none", "radius": 0},
    }
    return defaults | axes


def by_dataset(*datasets: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The published settings of every method on some datasets, as the study gives them."""
    changes = {"imagenet100": IMAGENET}
    return {
        name: {method: [settings | changes.get(name, {}).get(method, {})] for method, settings in METHODS.items()}
        for name in datasets
    }


def config(cells: Any, **style: Any) -> dict[str, Any]:
    """A product's settings, as the study gives them."""
    of_stages = cells.values() if isinstance(cells, dict) else [cells]
    datasets = {cell["dataset"] for of_stage in of_stages for cell in of_stage if cell is not None}
    return {"cells": cells, "methods": by_dataset(*datasets), "countermeasures": COUNTERMEASURES, "style": style}


def write_metrics(folder: Path, cells: list[Cell], measure: Callable[[Cell], dict[str, Any]]) -> list[str]:
    """The metrics files of the cells: those of a victim with the published budget, and what ``measure`` changes."""
    paths = []
    for number, cell in enumerate(cells):
        accuracy = {"test_accuracy": 0.5, "best_test_accuracy": 0.6, "train_accuracy": 0.9, "robust_accuracy": 0.4}
        steps = {"best_step": 20_000, "training_passes": 440_000 if cell.get("radius") else 40_000}
        steps["passes"] = steps["training_passes"] + 800
        cost = {"seconds": 10.0, "peak_memory_bytes": 2**20, "device": "a GPU"}
        paths.append(str(folder / f"{number}.json"))
        files.write_json(paths[-1], accuracy | steps | cost | {"auto_attack_accuracy": None} | measure(cell))
    return paths


def markdown_rows(path: Path) -> list[list[str]]:
    """The header and the rows of a written table, as the texts of their cells."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]
