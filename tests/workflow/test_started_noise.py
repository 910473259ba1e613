"""A noise that starts from another method's: what is made first, what it is compared with, and what it does again."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pipeline import Config, Project, laid_over
from .test_plan import counts, plan, sections

BASE = "results/noise/tiny/pil/u8-a0/s0/manifest.json"
STARTED = "results/noise/tiny/sem-pil/u8-a4/s0/manifest.json"


@pytest.fixture(scope="module")
def started(repo: Path, tiny: Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study of SEM started from PIL's noise, whose noise is made."""
    change = {
        "methods": {
            "pil": {"by_dataset": {"tiny": {"k_u": 2, "epochs": 1}}},
            "sem-pil": {"by_dataset": {"tiny": {"k_u": 2, "k_a": 1, "j": 1}}},
        },
        "experiments": {
            "tiny": {
                "noises": [{"method": "sem-pil", "rho_u": [8], "rho_a": [4]}],
                "protected": [100],
                "clean_rest": False,
                "victims": {"networks": ["small-cnn"], "radii": [0]},
                "products": ["accuracy-table"],
            }
        },
    }
    study = Project.new(repo, tmp_path_factory.mktemp("started"), laid_over(tiny, change))
    once = {"dataset": 1, "source_model": 1, "perturbed_dataset": 1, "victim": 1, "table": 1}
    every = once | {"noise": 2, "merge_noise": 2}
    jobs, *_ = sections(plan(study))
    assert {rule: due for rule, (_, _, due) in counts(jobs).items() if rule != "in all"} == study.job_counts() == every
    study.run(STARTED)
    return study


def test_the_source_model_and_the_noise_are_made_with_the_other_noise(started: Project) -> None:
    key = started.json(BASE)["recipe"]["key"]
    for file in ("source_model/tiny/sem-pil/u8-a4/s0/metrics", "noise/tiny/sem-pil/u8-a4/s0/shards/0-of-1"):
        assert started.json(f"results/{file}.json")["recipe"]["inputs"]["base"] == [key]


def test_what_is_made_is_not_made_again(started: Project) -> None:
    assert "Nothing to be done" in started.run(STARTED, "-n")
    rules = counts(sections(plan(started))[0])
    assert {rule: done for rule, (_, done, _) in rules.items() if done and rule != "in all"} == {
        **{"dataset": 1, "source_model": 1},
        **{"noise": 2, "merge_noise": 2},
    }


def test_another_start_makes_source_model_and_noise_again(started: Project, tmp_path: Path) -> None:
    other = started.having({"methods": {"sem-pil": {"start": "random"}}}, tmp_path)
    assert other.job_counts(STARTED) == {"source_model": 1, "noise": 1, "merge_noise": 1}


def test_another_base_noise_makes_all_that_starts_from_it_again(started: Project, tmp_path: Path) -> None:
    other = started.having({"methods": {"pil": {"by_dataset": {"tiny": {"k_u": 3}}}}}, tmp_path)
    assert other.job_counts(STARTED) == {"source_model": 1, "noise": 2, "merge_noise": 2}
