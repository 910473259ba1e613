"""A study that is killed again and again ends as if nothing had been; `make chaos` does it with more kills."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .chaos import prepared, run_with_kills

SMALL = {
    "experiments": {
        "chaos": {
            "noises": [{"method": "em", "rho_u": [16]}],
            "victims": {"networks": ["small-cnn"], "radii": [0]},
            "products": ["accuracy-table"],
        }
    },
    "source_model": {"by_dataset": {"tiny": {"by_method": {"em": {"steps": 700}}}}},
    "noise": {"by_dataset": {"tiny": {"by_method": {"em": {"k_u": 200}}}}},
    "victim": {"by_dataset": {"tiny": {"steps": 500}}},
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds its processes in /proc")
def test_a_study_killed_at_random_moments_ends_in_the_same_bytes(repo: Path, tmp_path: Path) -> None:
    report = run_with_kills(prepared(repo, tmp_path, SMALL), tmp_path / "disturbed", kills=3, seed=1)
    assert report.kills.total() == 3
