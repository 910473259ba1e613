"""Made-up measurements of victims, as the stages write them: what tests of tables and figures start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unlearnable import files
from unlearnable.products.product import FigureFiles, Given, MethodAsRun, TableFiles, VictimCell, validate_given

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
BUDGET: dict[str, Any] = {
    **{"steps": 40_000, "batch_size": 128, "lr": 0.1, "lr_drops": [0.4, 0.8], "lr_factor": 0.1},
    **{"momentum": 0.9, "weight_decay": 5.0e-4, "k_a": 10, "alpha_a": 0.2},
}
CLASSES = {"cifar100": 100, "imagenet100": 100}  # by dataset; 10 elsewhere
COUNTERMEASURES = {"none": "none", "gray": "grayscale", "trades": "trades"}
Cell = dict[str, Any]


def victim(method: str, seed: int = 0, **axes: Any) -> Cell:
    """A victim's cell: on CIFAR-10, ResNet-18, all images protected, plain standard training, unless told."""
    rho_u = 0 if METHODS[method]["algorithm"] in ("clean", "ops") else 8
    defaults = {
        **{"dataset": "cifar10", "method": method, "rho_u": rho_u, "rho_a": 4 if method == "rem" else 0},
        **{"seed": seed, "protected": 0 if method == "clean" else 100},
        **{"network": "resnet18", "countermeasure": "none", "radius": 0},
    }
    return defaults | {"victim_seed": (defaults | axes)["seed"]} | axes


def typed(cells: Sequence[Cell]) -> list[VictimCell]:
    """Victims' cells, as products are given them."""
    return [VictimCell(**cell) for cell in cells]


def by_dataset(*datasets: str, **changes: Any) -> dict[str, dict[str, list[MethodAsRun]]]:
    """The published settings of every method on some datasets, as products are given them."""

    def stage(dataset: str, method: str) -> MethodAsRun:
        settings = METHODS[method] | (IMAGENET.get(method, {}) if dataset == "imagenet100" else {}) | changes
        return MethodAsRun(algorithm=settings["algorithm"], settings=settings)

    return {dataset: {method: [stage(dataset, method)] for method in METHODS} for dataset in datasets}


def given(product: str, style: dict[str, Any], **cells: Any) -> Given[Any]:
    """What a product is given: plain cells, and what else there is, by the names of ``Given``."""
    named = {kind: cells.pop(kind) for kind in ("measured", "comparisons", "budgets") if kind in cells}
    every = [cell for of_kind in cells.values() for cell in of_kind if cell is not None]
    datasets = dict.fromkeys(cell["dataset"] for cell in every)
    budgets: dict[str, dict[str, Any]] = {dataset: {} for dataset in datasets}
    for cell in cells.get("victims", ()):
        budgets[cell["dataset"]][cell["network"]] = BUDGET
    about = {"product": product, "experiment": "e", "style": style, "countermeasures": COUNTERMEASURES}
    about |= {"classes": {dataset: CLASSES.get(dataset, 10) for dataset in datasets}, "budgets": budgets}
    return validate_given(about | {"methods": by_dataset(*datasets)} | cells | named)


def table_files(folder: Path, name: str = "t") -> TableFiles:
    """Files of a table."""
    return TableFiles(*(folder / f"{name}.{kind}" for kind in ("csv", "md", "tex")))


def figure_files(folder: Path, name: str = "t") -> FigureFiles:
    """Files of a figure."""
    return FigureFiles(*(folder / f"{name}.{kind}" for kind in ("pdf", "svg", "png")))


def write_metrics(folder: Path, cells: list[Cell], measure: Callable[[Cell], dict[str, Any]]) -> list[Path]:
    """The metrics files of the cells: those of a victim with the published budget, and what ``measure`` changes."""
    paths = []
    for number, cell in enumerate(cells):
        accuracy = {"test_accuracy": 0.5, "best_test_accuracy": 0.6, "train_accuracy": 0.9, "robust_accuracy": 0.4}
        steps = {"best_step": 20_000, "training_passes": 440_000 if cell.get("radius") else 40_000}
        steps["passes"] = steps["training_passes"] + 800
        cost = {"seconds": 10.0, "peak_memory_bytes": 2**20, "device": "a GPU"}
        paths.append(folder / f"{number}.json")
        files.write_json(paths[-1], accuracy | steps | cost | {"auto_attack_accuracy": None} | measure(cell))
    return paths


def markdown_rows(path: Path) -> list[list[str]]:
    """The header and the rows of a written table, as the texts of their cells."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]
