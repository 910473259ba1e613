"""A study whose source model and noise take some seconds each, so that it can be met at work."""

from __future__ import annotations

import shutil
from pathlib import Path

from .pipeline import Config, Project, dataset

SOURCE = "results/source_model/tiny/em/u16-a0/s0"
NOISE = "results/noise/tiny/em/u16-a0/s0"
LOGS = {
    "source_model": "logs/source_model/tiny/em/u16-a0/s0.log",
    "noise": "logs/noise/tiny/em/u16-a0/s0/0-of-1.log",
}
CHECKPOINTS = {
    "source_model": f"{SOURCE}/model.checkpoint.pt",
    "noise": f"{NOISE}/shards/0-of-1.checkpoint.pt",
}
TARGETS = {"source_model": "sources", "noise": "perturbed"}


def slow_study(images: Path) -> Config:
    """One noise of which the source model and the noise pass take some seconds each."""
    em = {"by_method": {"em": {"steps": 500}}}
    return {
        "run": ["slow"],
        "runtime": {"device": "cpu", "checkpoint_seconds": 1},
        "datasets": {"tiny": dataset(images)},
        "methods": {"em": {"by_dataset": {"tiny": {"k_u": 2}}}},
        "source_model": {"by_dataset": {"tiny": {"network": "small-cnn", "batch_size": 16, "history_every": 50, **em}}},
        "noise": {"by_dataset": {"tiny": {"batch_size": 2, "by_method": {"em": {"k_u": 200}}}}},
        "perturbed": {"rows_per_parquet": 40, "rows_per_shard": 50},
        "victim": {"by_dataset": {"tiny": {"batch_size": 16}}},
        "experiments": {
            "slow": {
                "datasets": ["tiny"],
                "noises": [{"method": "em", "rho_u": [16]}],
                "victims": {"networks": ["small-cnn"], "radii": [0]},
                "products": ["accuracy-table"],
            }
        },
    }


def before(stage: str, undisturbed: Project, folder: Path) -> Project:
    """The study as it stands when ``stage`` is next."""
    if stage == "source_model":
        return Project.new(undisturbed.repo, folder, undisturbed.config)
    project = undisturbed.copied(folder)
    for results in ("noise", "perturbed"):
        shutil.rmtree(project.work / "results" / results)
    return project


def assert_same_results(stage: str, project: Project, undisturbed: Project) -> None:
    """The killed stage and what follows wrote what the undisturbed run wrote, whatever the time it took."""
    folders = {"source_model": ["source_model"], "noise": ["noise", "perturbed"]}[stage]
    assert [path.name for path in (project.work / "results").rglob("*.part")] == []
    expected = undisturbed.bytes_below(*[f"results/{folder}" for folder in folders])
    found = project.bytes_below(*[f"results/{folder}" for folder in folders])
    assert {"source_model": f"{SOURCE}/model.safetensors", "noise": f"{NOISE}/noise.npy"}[stage] in expected
    assert set(found) == set(expected)
    timed = f"{NOISE}/shards/0-of-1.json"
    assert [path for path in expected if found[path] != expected[path] and path != timed] == []
