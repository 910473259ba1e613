"""What every script does around its work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import atexit, gc
from types import SimpleNamespace

from unlearnable.jobs.job import job

atexit.register(lambda: print(gc.get_freeze_count()))  # after what the job registers
with job(SimpleNamespace(rule="noise", log=[], input=[], params=SimpleNamespace(recipe={"inputs": {}}))):
    print(gc.get_freeze_count())
"""


def test_the_end_of_a_job_is_left_to_the_system(tmp_path: Path) -> None:
    """To take all that torch consists of apart piece by piece takes half a second a job."""
    environment = {name: value for name, value in os.environ.items() if name != "UNLEARNABLE_SNAKEMAKE"}
    printed = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT / "workflow")},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    during, after = map(int, printed.split())
    assert during == 0
    assert after > 10_000
