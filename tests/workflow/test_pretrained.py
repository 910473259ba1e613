"""Victims that start from the weights of a clean victim on other classes: what is trained first, and what again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pipeline import CLASSES, SIZE, Config, Project, laid_over
from .test_plan import counts, plan, sections

START = "results/victim/first/clean/u0-a0/p0/small-cnn/none/r0/s0"
STARTED = "results/victim/last/clean/u0-a0/p0/small-cnn/started/r0/s0"


@pytest.fixture(scope="module")
def trained(repo: Path, tiny: Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study of clean images of two classes whose victims start from those of two classes, run to the end."""
    part = {"kind": "class-subset", "of": "tiny", "image_size": SIZE, "channels": 1}
    steps = {"steps": 4, "batch_size": 8, "evaluate_every": 2, "robust_steps": 1, "robust_images": 4}
    change = {
        "datasets": {"first": part | {"classes": CLASSES[:2]}, "last": part | {"classes": CLASSES[1:]}},
        "countermeasures": {"started": {"kind": "pretrained", "of": "first", "frozen": "half"}},
        "victim": {"by_dataset": {"first": steps, "last": steps}},
        "experiments": {
            "tiny": {
                "datasets": ["last"],
                "noises": [{"method": "clean"}],
                "protected": [100],
                "clean_rest": False,
                "victims": {"networks": ["small-cnn"], "radii": [0], "countermeasures": ["none", "started"]},
                "products": ["accuracy-table"],
            }
        },
    }
    study = Project.new(repo, tmp_path_factory.mktemp("pretrained"), laid_over(tiny, change))
    assert study.job_counts() == {"dataset": 2, "perturbed_dataset": 2, "victim": 3, "table": 1}
    assert counts(sections(plan(study))[0])["victim"] == (3, 0, 3)
    study.run("all")
    return study


def test_the_other_victim_is_trained_first_and_is_no_row_of_the_table(trained: Project) -> None:
    start, started = (trained.json(f"{folder}/metrics.json") for folder in (START, STARTED))
    assert started["recipe"]["inputs"]["start"] == [start["recipe"]["key"]]
    assert "first" not in trained.read("results/tables/tiny/accuracy.csv")
    assert "Nothing to be done" in trained.run("all", "-n")


def test_another_training_of_the_other_victim_trains_those_that_start_from_it(trained: Project, tmp_path: Path) -> None:
    other = trained.having({"victim": {"by_dataset": {"first": {"lr": 0.05}}}}, tmp_path)
    assert other.job_counts("all") == {"victim": 2, "table": 1}
