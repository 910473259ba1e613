"""A noise that starts from another method's: what is made first, what it is compared with, and what it does again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pipeline import Config, Project, laid_over

FINISHED = "results/noise/tiny/{}/u8-a0/s0/manifest.json"


@pytest.fixture(scope="module")
def started(repo: Path, tiny: Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study of EM started from random noise, whose noise is made."""
    change = {
        "methods": {
            "random": {"algorithm": "random"},
            "em-started": {"algorithm": "em", "k_u": 1, "start": {"noise": "random"}},
        },
        "experiments": {
            "tiny": {
                "noises": [{"method": "em-started", "rho_u": [8]}],
                "protected": [100],
                "clean_rest": False,
                "victims": {"networks": ["small-cnn"], "radii": [0]},
                "products": ["accuracy-table"],
            }
        },
    }
    study = Project.new(repo, tmp_path_factory.mktemp("started"), laid_over(tiny, change))
    once = {"dataset": 1, "source_model": 1, "perturbed_dataset": 1, "victim": 1, "table": 1}
    assert study.job_counts() == once | {"noise": 2, "merge_noise": 2}
    study.run(FINISHED.format("em-started"))
    return study


def test_the_source_model_and_the_noise_are_made_with_the_other_noise(started: Project) -> None:
    key = started.json(FINISHED.format("random"))["recipe"]["key"]
    for file in ("source_model/tiny/em-started/u8-a0/s0/metrics", "noise/tiny/em-started/u8-a0/s0/shards/0-of-1"):
        assert started.json(f"results/{file}.json")["recipe"]["inputs"]["base"] == [key]
    assert "Nothing to be done" in started.run(FINISHED.format("em-started"), "-n")


def test_another_start_makes_source_model_and_noise_again(started: Project, tmp_path: Path) -> None:
    other = started.having({"methods": {"em-started": {"start": "random"}}}, tmp_path)
    counts = other.job_counts(FINISHED.format("em-started"))
    assert counts == {"source_model": 1, "noise": 1, "merge_noise": 1}
